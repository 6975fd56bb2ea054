# The server as a container.  Who shall bring new kernels here needs a token:
#   docker build -t kernsym .
#   docker run -p 8002:8002 -v kernsym:/var/lib/kernsym -e KERNSYM_TOKEN=... kernsym
# A kernsym.toml is taken from /etc/kernsym; `docker kill -s HUP` has it read again.
FROM debian:trixie-slim AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3-venv
WORKDIR /source
COPY . .
RUN python3 -m venv /opt/kernsym \
    && /opt/kernsym/bin/pip wheel --no-cache-dir --no-deps --wheel-dir /wheel . \
    && /opt/kernsym/bin/pip install --no-cache-dir /wheel/*.whl

FROM debian:trixie-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        ca-certificates debian-archive-keyring gpgv libarchive13t64 python3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --home-dir /var/lib/kernsym --create-home kernsym
COPY --from=build /opt/kernsym /opt/kernsym
USER kernsym
ENV KERNSYM_STORE=/var/lib/kernsym
VOLUME /var/lib/kernsym
EXPOSE 8002
HEALTHCHECK CMD ["/opt/kernsym/bin/python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8002/healthz', timeout=5)"]
ENTRYPOINT ["/opt/kernsym/bin/kernsym"]
CMD ["serve", "--listen", "0.0.0.0:8002"]
