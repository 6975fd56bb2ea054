# The server as a container. Writes, so also new kernels, need a token:
#   docker build -t kernsym .
#   docker run -p 8002:8002 -v kernsym:/var/lib/kernsym -e KERNSYM_TOKEN=... kernsym
FROM python:3.12-slim-bookworm AS build
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheel .

FROM python:3.12-slim-bookworm
RUN apt-get update \
    && apt-get install -y --no-install-recommends debian-archive-keyring libarchive13 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /wheel /wheel
RUN pip install --no-cache-dir /wheel/*.whl
RUN useradd --system --home-dir /var/lib/kernsym --create-home kernsym
USER kernsym
ENV KERNSYM_STORE=/var/lib/kernsym
VOLUME /var/lib/kernsym
EXPOSE 8002
ENTRYPOINT ["kernsym"]
CMD ["serve", "--listen", "0.0.0.0:8002"]
