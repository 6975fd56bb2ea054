"""A real server process on a small store, for tests of what only a process shows."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kernsym.cache import Bundle, BundleFile, FileRole, Store, Verification
from kernsym.distros import Kernel, Package, PackageRef, Role
from tests import elf_writer
from tests.conftest import world_source
from tests.processes import wait_for

TOKEN = "t0ken"
KERNEL = Kernel(
    distro="debian",
    release="12",
    arch="x86_64",
    uname="6.1.0-18-amd64",
    flavour="amd64",
    version="6.1.76-1",
)
_PACKAGE = Package(
    role=Role.DEBUGINFO,
    id="linux-image-6.1.0-18-amd64-dbg_6.1.76-1_amd64.deb",
    name="linux-image-6.1.0-18-amd64-dbg",
    version="6.1.76-1",
    arch="amd64",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveServer:
    """A running server; `log` is where its standard error goes."""

    process: subprocess.Popen[bytes]
    log: Path
    url: str

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 0

    def ask(
        self, path: str, *, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> Answer:
        """One request on a connection of its own; `X_Y` stands for the header `X-Y`."""
        connection = http.client.HTTPConnection(*self.address, timeout=30)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return Answer(status=answer.status, headers=answer.headers, body=answer.read())
        finally:
            connection.close()

    def logged(self, text: str) -> bool:
        return text in self.log.read_text()

    def lines(self) -> list[dict[str, Any]]:
        """The log's lines, written as JSON."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@contextlib.contextmanager
def live_server(
    folder: Path,
    settings: str = "",
    *,
    mirror: str | None = None,
    store: str = "",
    arguments: tuple[str, ...] = (),
    before: tuple[str, ...] = (),
    ends: int | None = 0,
    **options: Any,
) -> Iterator[LiveServer]:
    """A server on `folder/store`, with `settings` as the keys of `[server]` and `store` as those of
    `[store]`; ended by SIGTERM.

    `mirror`: URL of the world's repository, its only source of packages; None: it has none.
    `before`: a command that runs the server's, which follows it.
    `ends`: the exit status that it shall have then, None: any.  `options` go to Popen.
    """
    config = folder / "kernsym.toml"
    rest = world_source(mirror) if mirror else "[builtin]\nsources = false\n"
    config.write_text(f"[server]\n{settings}\n[store]\n{store}\n{rest}")
    log = folder / "server.log"
    command = [sys.executable, "-m", "kernsym.server", "--config", str(config)]
    command += ["--listen", "127.0.0.1:0", "--store", str(folder / "store"), *arguments]
    environment = {**os.environ, "KERNSYM_TOKEN": TOKEN, **options.pop("env", {})}
    with log.open("wb") as file:
        process: subprocess.Popen[bytes] = subprocess.Popen(
            [*before, *command], stderr=file, cwd="/", env=environment, **options
        )
    try:
        yield LiveServer(process=process, log=log, url=_url(process, log))
        if "stopping at" not in log.read_text():  # a second signal would end it at once
            process.terminate()
        status = process.wait(30)
        assert ends in (None, status), log.read_text()
    finally:
        process.kill()
        process.wait()


def _url(process: subprocess.Popen[bytes], log: Path) -> str:
    def announced() -> re.Match[str] | None:
        assert process.poll() is None, log.read_text()
        return re.search(r"serving \S+ at (http\S*?:[^\s\"]+)", log.read_text())

    wait_for(announced)
    found = announced()
    assert found
    return found[1]


def fill_store(root: Path, modules: int = 3, module_bytes: int = 1000) -> Bundle:
    """A store with one kernel: a vmlinux and modules `m0`, `m1`, ... of known build IDs."""
    store = Store(root)
    try:
        bundle = bundle_of(modules, module_bytes)
        for file, content in zip(bundle.files, _contents(modules, module_bytes), strict=True):
            target = store.folder(KERNEL) / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        return store.publish(bundle)
    finally:
        store.close()


def bundle_of(modules: int, module_bytes: int = 1000) -> Bundle:
    """The manifest of that kernel."""
    contents = list(_contents(modules, module_bytes))
    files = [_file(FileRole.VMLINUX, "vmlinux", elf_writer.BUILD_ID, contents[0])]
    for number, content in enumerate(contents[1:]):
        files.append(_file(FileRole.MODULE, f"m{number}", module_build_id(number), content))
    return Bundle(
        kernel=KERNEL,
        verification=Verification(
            by=("banner",), banner=elf_writer.BANNER, build_id=elf_writer.BUILD_ID
        ),
        packages=(PackageRef(package=_PACKAGE, url="http://x.example/a", origin="x", why="test"),),
        files=tuple(files),
    )


def module_build_id(number: int) -> str:
    return f"{number + 1:040x}"


def _contents(modules: int, module_bytes: int) -> Iterator[bytes]:
    yield elf_writer.vmlinux()
    for number in range(modules):
        yield elf_writer.module(module_build_id(number), bytes([number % 251]) * module_bytes)


def _file(role: FileRole, name: str, build_id: str, content: bytes) -> BundleFile:
    module = role is FileRole.MODULE
    return BundleFile(
        role=role,
        path=f"root/usr/lib/debug/{name}" + ".ko" * module,
        size=len(content),
        sha256="0" * 64,
        package=_PACKAGE.id,
        name=name if module else "",
        build_id=build_id,
    )
