"""`kernsym add` and `POST /api/v1/kernels`: a kernel of one's own, from its files to crash;
a real kernel and its dump, with a banner that no distribution claims."""

from __future__ import annotations

import hashlib
import io
import json
import os
import resource
import shutil
import socket
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kernsym.cache import Store
from kernsym.client.own_build import find_files, packed
from tests import elf_writer
from tests.conftest import BANNER, KERNEL, Kernsym
from tests.deb_writer import ar
from tests.deb_writer import tar as deb_tar
from tests.debuginfod_process import build_id_of
from tests.live_server import TOKEN, Answer, LiveServer, live_server
from tests.own_world import OWN_BANNER, OwnWorld, make
from tests.processes import wait_for
from tests.story import COMMANDS, VMCORE, assert_everything_is_there

AUTHORIZED: dict[str, Any] = {"Authorization": f"Bearer {TOKEN}"}
OWN = (
    "Linux version 6.6.1-acme (me@build.acme.example) (gcc 13) #7 SMP Tue May 14 12:00:00 UTC 2024"
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> OwnWorld:
    return make(tmp_path_factory.mktemp("own"))


def test_a_dump_of_an_own_kernel_opens_once_it_was_added(kernsym: Kernsym, world: OwnWorld) -> None:
    assert "local build" in kernsym("identify", world.dump, status=3).stdout
    assert "error[unsupported]" in kernsym("fetch", OWN_BANNER, status=3).stderr
    arguments = (world.vmlinux, world.modules, "--source", world.sources, "--label", "nightly 7")
    key = kernsym("add", *arguments).stdout.strip()
    build_id = build_id_of(world.vmlinux)
    assert key == f"local/x86_64/{KERNEL.uname}/1-{build_id[:12]}"
    assert kernsym("add", *arguments).stdout.strip() == key, "again is no harm"

    done = kernsym("crash", world.dump, text=COMMANDS)
    assert_everything_is_there(done.stdout)
    assert "own build" in done.stderr and "nightly 7" in done.stderr
    for what in (("--banner", OWN_BANNER), (world.dump,), (build_id,)):
        (answer,) = map(json.loads, kernsym("identify", "--json", *what).stdout.splitlines())
        assert answer["verdict"] == "identified" and answer["kernel"]["distro"] == "local"
    assert "label      nightly 7" in kernsym("show", key).stdout
    kernsym("rm", key)
    assert "local build" in kernsym("identify", world.dump, status=3).stdout


def test_a_dump_of_an_own_kernel_opens_from_a_folder_that_was_scanned(
    kernsym: Kernsym, world: OwnWorld
) -> None:
    kernsym("scan", world.modules.parent.parent.parent)
    done = kernsym("crash", world.dump, text="bt\nmod\nquit\n")
    assert "panic at" in done.stdout and "4 loaded, 4 with symbols" in done.stderr
    assert "verified: banner and build ID equal the dump's" in done.stderr


def test_a_dump_of_an_own_kernel_opens_from_a_package_that_was_scanned(
    kernsym: Kernsym, world: OwnWorld, tmp_path: Path
) -> None:
    """As `make bindeb-pkg` writes it, under any file name; a newer one of its name is another's."""
    uname = KERNEL.uname
    control = f"Package: linux-image-{uname}-dbg\nVersion: 6.1.192-7\nArchitecture: amd64\n"
    tree = f"./usr/lib/debug/lib/modules/{uname}"
    files = [(f"{tree}/{path.relative_to(world.modules / uname)}", path) for path in ko(world)]
    for name, vmlinux in (("a", world.vmlinux.read_bytes()), ("b", elf_writer.vmlinux(OWN))):
        members = [(f"{tree}/vmlinux", vmlinux), *((to, path.read_bytes()) for to, path in files)]
        (tmp_path / "packages").mkdir(exist_ok=True)
        (tmp_path / "packages" / name).write_bytes(
            ar(
                [
                    ("debian-binary", b"2.0\n"),
                    ("control.tar", deb_tar([("./control", control.encode())])),
                    ("data.tar", deb_tar(members)),
                ]
            )
        )
    assert "error[unsupported]" in kernsym("fetch", OWN_BANNER, status=3).stderr
    kernsym("scan", tmp_path / "packages")
    done = kernsym("crash", world.dump, text="bt\nmod\nquit\n")
    assert "panic at" in done.stdout and "4 loaded, 4 with symbols" in done.stderr
    assert f"{tmp_path}/packages" in done.stderr and "differ" in done.stderr
    assert kernsym("ls").stdout.startswith(f"local/x86_64/{uname}/1-")


def ko(world: OwnWorld) -> list[Path]:
    return sorted(world.modules.glob("*/kernel/**/*.ko"))


def test_the_place_of_a_distributions_kernel_is_not_taken(kernsym: Kernsym, tmp_path: Path) -> None:
    """By the banner alone the distribution's is meant; the build ID proves the one that was added,
    until the distribution's own is held."""
    (kernsym.home / "alone.toml").write_text("[builtin]\nsources = false\n")
    vmlinux = Path(kernsym("fetch", VMCORE).stdout.strip())
    shutil.copy(vmlinux, tmp_path / "vmlinux")
    refused = kernsym("add", tmp_path / "vmlinux", status=6)
    assert f"error[distribution-held]: this very build is held as {KERNEL.key}" in refused.stderr
    kernsym("rm", KERNEL.key)
    kernsym("add", tmp_path / "vmlinux")
    alone = ("--config", kernsym.home / "alone.toml")
    assert "error[not-published]" in kernsym(*alone, "fetch", BANNER, status=4).stderr
    own = kernsym(*alone, "fetch", build_id_of(tmp_path / "vmlinux")).stdout
    assert "/kernels/local/" in own
    assert "/kernels/debian/" in kernsym("fetch", BANNER).stdout


def build(folder: Path, build_id: str = "ab" * 20, size: int = 0) -> bytes:
    """A small kernel with a module and a source file, as it is sent."""
    (folder / "m/net").mkdir(parents=True, exist_ok=True)
    (folder / "s").mkdir(exist_ok=True)
    (folder / "vmlinux").write_bytes(elf_writer.vmlinux(OWN, build_id))
    (folder / "m/net/snd-x.ko").write_bytes(elf_writer.module("cd" * 20, bytes(size)))
    (folder / "m/z.ko.xz").write_bytes(b"packed")
    (folder / "s/main.c").write_text("int main;\n")
    (folder / "s/main.o").write_text("an object")
    found = find_files(folder / "vmlinux", folder / "m", folder / "s")
    assert (found.modules, found.sources, found.packed) == (1, 1, 1)
    return b"".join(packed(found, lambda done, total: None))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LiveServer]:
    with live_server(tmp_path, "upload_mb = 4\nidle_seconds = 3") as server:
        yield server


def send(server: LiveServer, body: bytes, query: str = "", **headers: Any) -> Answer:
    path = f"/api/v1/kernels{query}"
    return server.ask(path, method="POST", body=body, **(headers or AUTHORIZED))


def left_over(folder: Path) -> list[Path]:
    kernels = [path for path in folder.glob("store/kernels/local/**/*") if path.is_file()]
    return [*folder.glob("store/incoming/*"), *kernels]


def test_what_was_sent_is_held_and_served(server: LiveServer, tmp_path: Path) -> None:
    answer = send(server, build(tmp_path / "a"), "?label=a%20test")
    assert answer.status == 200, answer.body
    bundle = answer.json()
    assert bundle["label"] == "a test" and bundle["verification"]["banner"] == OWN
    paths = [file["path"] for file in bundle["files"]]
    assert paths == ["root/vmlinux", "root/modules/net/snd-x.ko", "root/source"]
    module = server.ask(f"/buildid/{'cd' * 20}/debuginfo")
    assert module.status == 200 and module.body == elf_writer.module("cd" * 20)
    assert server.ask(f"/buildid/{'ab' * 20}/source/main.c").body == b"int main;\n"
    shown = {"banner": OWN}
    said = server.ask(
        "/api/v1/identify", method="POST", body=json.dumps(shown).encode(), **AUTHORIZED
    )
    assert said.json()["kernel"]["version"] == f"7-{'ab' * 6}"

    # A second build of the same banner has a place of its own, and the banner does not tell.
    assert send(server, build(tmp_path / "a", "12" * 20)).status == 200
    wanted = json.dumps({"fingerprint": shown}).encode()
    asked = server.ask("/api/v1/symbols", method="POST", body=wanted, **AUTHORIZED)
    assert (asked.status, asked.json()["code"]) == (422, "ambiguous")
    shown["build_id"] = "12" * 20
    wanted = json.dumps({"fingerprint": shown}).encode()
    asked = server.ask("/api/v1/symbols", method="POST", body=wanted, **AUTHORIZED)
    assert asked.status == 200 and asked.json()["verification"]["build_id"] == "12" * 20


def test_what_lies_beside_modules_is_passed_over(server: LiveServer) -> None:
    """As a folder of installed modules has it."""
    link = tarfile.TarInfo("modules/6.6.1-acme/build")
    link.type, link.linkname = tarfile.SYMTYPE, "/home/me/linux"
    listing = ("modules/6.6.1-acme/modules.dep", b"a list")
    answer = send(server, link.tobuf() + whole(("vmlinux", elf_writer.vmlinux(OWN)), listing))
    assert answer.status == 200, answer.body
    assert [file["path"] for file in answer.json()["files"]] == ["root/vmlinux"]


def changed(body: bytes, before: bytes, after: bytes) -> bytes:
    assert body.count(before) >= 1 and len(before) == len(after)
    return body.replace(before, after)


def tar(*members: tuple[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def whole(*members: tuple[str, bytes]) -> bytes:
    """With their digests behind them."""
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in members)
    return tar(*members, ("SHA256SUMS", sums.encode()))


def test_what_is_not_as_it_should_be_is_refused_and_leaves_nothing(
    server: LiveServer, tmp_path: Path
) -> None:
    body = build(tmp_path / "a")
    vmlinux = ("vmlinux", elf_writer.vmlinux(OWN))
    other = elf_writer.elf([(".modinfo", 1, b"license=GPL\0vermagic=6.6.2-other SMP \0")])
    bad: list[tuple[bytes, int, str]] = [
        (changed(body, b"int main", b"int niam"), 422, "upload-damaged"),
        (body[: len(body) // 2], 422, "upload-damaged"),
        (tar(vmlinux), 422, "upload-damaged"),
        (b"no tar", 422, "upload-damaged"),
        (whole(("modules/a.ko", b"x"), vmlinux), 400, "upload-odd"),
        (whole(vmlinux, ("../x.ko", b"x")), 400, "upload-odd"),
        (whole(vmlinux, ("source/../../x", b"x")), 400, "upload-odd"),
        (whole(vmlinux, ("readme", b"x")), 400, "upload-odd"),
        (whole(vmlinux, vmlinux), 400, "upload-odd"),
        (whole(vmlinux, ("modules/a.ko", other)), 422, "module-mismatch"),
        (whole(("vmlinux", b"\x7fELF and no more")), 502, "elf-unreadable"),
        (build(tmp_path / "large", size=5 << 20), 413, "upload-too-large"),
    ]
    for sent, status, code in bad:
        answer = send(server, sent)
        assert (answer.status, answer.json()["code"]) == (status, code), code
    assert send(server, body, "?label=" + "x" * 300).status == 400
    assert send(server, body, X_No="token").status == 401
    assert left_over(tmp_path) == []
    assert not server.logged("Traceback")


@pytest.mark.parametrize("dies", [True, False])
def test_who_dies_in_the_middle_leaves_nothing(
    server: LiveServer, tmp_path: Path, dies: bool
) -> None:
    """Or falls silent, which is noticed after a while."""
    body = build(tmp_path / "a", size=1 << 20)
    head = f"POST /api/v1/kernels HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
    with socket.create_connection(server.address) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode())
        connection.sendall(body[: len(body) // 2])
        wait_for(lambda: left_over(tmp_path))
        if not dies:
            connection.settimeout(30)
            assert b"upload-cut" in connection.recv(1 << 16)
    wait_for(lambda: not left_over(tmp_path))
    assert send(server, body).status == 200


def test_a_full_disk_refuses_it_and_leaves_nothing(tmp_path: Path) -> None:
    """No file may grow beyond a megabyte, which the kernel refuses much as it does a full disk."""
    limits = (1 << 20, 1 << 20)
    with live_server(
        tmp_path, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    ) as server:
        answer = send(server, build(tmp_path / "a", size=2 << 20))
        assert answer.json()["code"] in ("disk-full", "store-unwritable")
        assert left_over(tmp_path) == []
        assert send(server, build(tmp_path / "a")).status == 200


def test_what_a_killed_server_left_is_removed(tmp_path: Path) -> None:
    old, new = (tmp_path / "store/incoming" / name for name in ("old", "new"))
    for folder in (old, new):
        folder.mkdir(parents=True)
        (folder / "vmlinux").touch()
    os.utime(old, (1e9, 1e9))
    with live_server(tmp_path):
        assert not old.exists() and new.exists()


def test_workers_pass_it_on(tmp_path: Path) -> None:
    with live_server(tmp_path, arguments=("--workers", "2")) as server:
        assert send(server, build(tmp_path / "a", size=3 << 20)).status == 200
        assert server.ask(f"/buildid/{'cd' * 20}/debuginfo").status == 200
    store = Store(tmp_path / "store")
    assert [bundle.kernel.distro for bundle in store.bundles()] == ["local"]
    store.close()
