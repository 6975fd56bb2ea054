"""Kernels carried in a file: packed here, taken in on a machine that has nothing, used there."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from kernsym.cache import Store
from kernsym.cache.kbundle import pack
from kernsym.distros import Refused
from kernsym.server.bring.carried import take_in
from tests.conftest import DEBUG_PACKAGE, KERNEL, SOURCE_PACKAGE, WORLD, Kernsym, write_config
from tests.live_server import TOKEN, live_server
from tests.story import COMMANDS, VMCORE, assert_everything_is_there
from tests.upstream import UpstreamServer

Change = Callable[[tarfile.TarInfo, bytes], "tuple[tarfile.TarInfo, bytes] | None"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernsym]:
    """A machine that reaches the mirror, and has what the world's dump needs."""
    home = tmp_path_factory.mktemp("site")
    with UpstreamServer(WORLD / "repo") as mirror:
        config = write_config(home / "kernsym.toml", mirror.url)
        yield _machine(home, config)


@pytest.fixture(scope="module")
def packed(site: Kernsym) -> Path:
    """What the world's dump needs, in a file."""
    target = site.home / "site.kbundle"
    site("export", "--for", VMCORE, "--sources", "-o", target)
    return target


@pytest.fixture
def far_away(tmp_path: Path) -> Kernsym:
    """A machine with an empty store and no source of packages."""
    config = tmp_path / "kernsym.toml"
    config.write_text("[builtin]\nsources = false\n")
    return _machine(tmp_path, config)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "store")
    yield store
    store.close()


def _machine(home: Path, config: Path) -> Kernsym:
    environment = {"KERNSYM_STORE": str(home / "store"), "KERNSYM_CONFIG": str(config)}
    return Kernsym(home=home, environment={"HOME": str(home), **environment})


def test_a_dump_opens_where_no_network_is(packed: Path, far_away: Kernsym) -> None:
    refused = far_away("crash", VMCORE, status=None)
    assert refused.returncode in (4, 5)
    done = far_away("import", packed)
    assert f"held       {KERNEL.key}" in done.stderr
    assert_everything_is_there(far_away("crash", VMCORE, text=COMMANDS).stdout)
    assert "carried    bundle of 20" in far_away("show", KERNEL.uname).stdout
    far_away("import", packed)  # once more changes nothing


def test_it_holds_what_was_asked_for(packed: Path, site: Kernsym, tmp_path: Path) -> None:
    names = {member.name for member, _ in members_of(packed)}
    manifest = json.loads(site("show", "--json", KERNEL.uname).stdout)
    folder = f"kernels/{KERNEL.key}/"
    kept = {
        f"{folder}{each['path']}" for each in manifest["files"] if each["role"] != "source-tree"
    }
    assert kept < names and any("/fs/overlayfs/" in name for name in names - kept)
    few = tmp_path / "few.kbundle"
    site("export", KERNEL.key, "--no-sources", "--modules", "overlay", "-o", few)
    assert [Path(m.name).name for m, _ in members_of(few) if m.name.endswith(".ko")] == [
        "overlay.ko"
    ]


def test_a_pipe_is_written_to_and_not_replaced(site: Kernsym, packed: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["wc", "-c", pipe], stdout=subprocess.PIPE)
    site("export", KERNEL.key, "-o", pipe)
    counted, _ = reader.communicate(timeout=60)
    assert pipe.is_fifo() and int(counted.split()[0]) > packed.stat().st_size // 2


def test_standard_tools_read_it(packed: Path, tmp_path: Path) -> None:
    into = tmp_path / "by hand"
    into.mkdir()
    subprocess.run(["tar", "--zstd", "-xf", packed, "-C", into], check=True)
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], check=True, cwd=into)
    assert next(into.glob("kernels/*/*/*/*/root/usr/lib/debug/boot/vmlinux-*")).is_file()


def test_packages_in_hand_are_taken_in(far_away: Kernsym, tmp_path: Path) -> None:
    stick = tmp_path / "a stick"
    stick.mkdir()
    for path in (DEBUG_PACKAGE, SOURCE_PACKAGE):
        shutil.copy(f"{WORLD}/repo{path}", stick)
    done = far_away("import", *sorted(stick.iterdir()))
    assert f"held       {KERNEL.key}  0 modules, sources" in done.stderr
    shutil.rmtree(stick)  # the modules come from the copy in the store
    assert_everything_is_there(far_away("crash", VMCORE, text=COMMANDS).stdout)
    refused = far_away("import", VMCORE.with_name("notes.deb"), status=2)
    assert "error[no-kernel-package]" in refused.stderr


@pytest.mark.parametrize("settings", ["", "workers = 2"])
def test_a_server_takes_it_from_whoever_may(packed: Path, tmp_path: Path, settings: str) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    with live_server(folder, settings) as server:
        environment = {"HOME": str(tmp_path), "KERNSYM_URL": server.url}
        stranger = Kernsym(home=tmp_path, environment=environment)
        refused = stranger("import", packed, status=5)
        assert "error[token-required]" in refused.stderr
        admin = Kernsym(home=tmp_path, environment={**environment, "KERNSYM_TOKEN": TOKEN})
        admin("import", packed)
        assert KERNEL.key in stranger("ls").stdout


def test_a_signature_is_asked_for_and_checked(
    site: Kernsym, packed: Path, far_away: Kernsym, tmp_path: Path
) -> None:
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--pinentry-mode", "loopback"]
    made = [*gpg, "--passphrase", "", "--quick-gen-key", "carrier@example.org", "ed25519"]
    subprocess.run(made, check=True, capture_output=True)
    keys = tmp_path / "keys.asc"
    exported = subprocess.run([*gpg, "--armor", "--export"], check=True, capture_output=True)
    keys.write_bytes(exported.stdout)
    signed = tmp_path / "signed.kbundle"
    signing = Kernsym(home=site.home, environment={**site.environment, "GNUPGHOME": str(home)})
    signing("export", KERNEL.uname, "--sign", "carrier@example.org", "-o", signed)
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)

    unsigned = far_away("import", "--signed-by", keys, packed, status=6)
    assert "error[signature-missing]" in unsigned.stderr
    other = far_away("import", "--signed-by", WORLD / "archive-key.asc", signed, status=6)
    assert "error[signature-bad]" in other.stderr
    assert "signature  of " in far_away("import", "--signed-by", keys, signed).stderr

    config = f'[builtin]\nsources = false\n[server]\nimport_keys = ["{keys}"]\n'
    far_away("rm", KERNEL.uname)
    (far_away.home / "kernsym.toml").write_text(config)
    refused = far_away("import", packed, status=6)
    assert "error[signature-missing]" in refused.stderr
    far_away("import", signed)
    assert "signed by" in far_away("show", KERNEL.uname).stdout


def test_an_import_that_was_killed_goes_on(packed: Path, far_away: Kernsym) -> None:
    process = far_away.start("import", packed)
    deadline = time.monotonic() + 30
    while not list((far_away.store / "kernels").rglob("vmlinux-*")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    far_away("import", packed)
    assert_everything_is_there(far_away("crash", VMCORE, text=COMMANDS).stdout)


def _flip(info: tarfile.TarInfo, data: bytes) -> tuple[tarfile.TarInfo, bytes]:
    if "/vmlinux-" in info.name:
        data = data[:1000] + bytes([data[1000] ^ 1]) + data[1001:]
    return info, data


def _drop_a_module(info: tarfile.TarInfo, data: bytes) -> tuple[tarfile.TarInfo, bytes] | None:
    return None if info.name.endswith("/overlay.ko") else (info, data)


def _lead_outside(info: tarfile.TarInfo, data: bytes) -> tuple[tarfile.TarInfo, bytes]:
    old, new = "root/usr/lib/debug/boot", "root/../../../../../../outside"
    if info.name in ("SHA256SUMS", "kernsym-bundle.json"):
        data = data.replace(old.encode(), new.encode())
    info.name = info.name.replace(old, new)
    return info, data


def _another_kernel(info: tarfile.TarInfo, data: bytes) -> tuple[tarfile.TarInfo, bytes]:
    """Says of everything that it is of another build."""
    if info.name == "kernsym-bundle.json":
        found = json.loads(data)
        found["kernels"][0]["verification"]["build_id"] = "ab" * 20
        data = json.dumps(found).encode()
    return info, data


def _link_to_the_world(info: tarfile.TarInfo, data: bytes) -> tuple[tarfile.TarInfo, bytes]:
    if info.name.endswith("/overlay.ko"):
        info.type, info.linkname, data = tarfile.SYMTYPE, "/etc/passwd", b""
    return info, data


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_flip, "kbundle-damaged"),
        (_drop_a_module, "kbundle-damaged"),
        (_lead_outside, "kbundle-unsafe"),
        (_another_kernel, "kbundle-mismatch"),
        (_link_to_the_world, "kbundle-unsafe"),
    ],
)
def test_what_is_not_as_it_was_packed_is_refused(
    packed: Path, store: Store, tmp_path: Path, change: Change, code: str
) -> None:
    changed = tmp_path / "changed.kbundle"
    repack(packed, changed, change)
    with changed.open("rb") as stream, pytest.raises(Refused) as refused:
        take_in(store, stream, ())
    assert refused.value.code == code
    assert not list(store.bundles()) and not (tmp_path / "outside").exists()
    assert not [path for path in (store.root / "kernels").rglob("*") if path.is_file()]


@pytest.mark.parametrize("part", [0.0, 0.001, 0.5, 0.999])
def test_a_file_that_was_cut_is_refused(
    packed: Path, store: Store, tmp_path: Path, part: float
) -> None:
    content = packed.read_bytes()
    with pytest.raises(Refused) as refused:
        take_in(store, io.BytesIO(content[: int(part * len(content))]), ())
    assert refused.value.code == "kbundle-damaged"
    assert not list(store.bundles())


def test_equal_files_are_packed_once(packed: Path, store: Store, tmp_path: Path) -> None:
    with packed.open("rb") as stream:
        (bundle,) = take_in(store, stream, ())
    twin = replace(bundle, kernel=replace(bundle.kernel, twin="11111111"))
    shutil.copytree(store.folder(bundle.kernel), store.folder(twin.kernel))
    buffer = io.BytesIO()
    pack(store, (bundle, twin), buffer)
    assert buffer.tell() < 1.2 * packed.stat().st_size
    other = Store(tmp_path / "other")
    buffer.seek(0)
    held = take_in(other, buffer, ())
    other.close()
    assert [each.kernel for each in held] == [bundle.kernel, twin.kernel]


def test_a_store_that_was_damaged_is_not_packed(packed: Path, store: Store) -> None:
    with packed.open("rb") as stream:
        (bundle,) = take_in(store, stream, ())
    vmlinux = next(store.folder(bundle.kernel).rglob("vmlinux-*"))
    with vmlinux.open("r+b") as file:
        file.seek(5000)
        file.write(b"damage")
    with pytest.raises(Refused) as refused:
        pack(store, (bundle,), io.BytesIO())
    assert refused.value.code == "store-damaged"


def members_of(path: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    stream = zstandard.ZstdDecompressor().stream_reader(path.open("rb"), read_across_frames=True)
    with stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        found = []
        for member in archive:
            content = archive.extractfile(member) if member.isreg() else None
            found.append((member, content.read() if content else b""))
        return found


def repack(path: Path, target: Path, change: Change) -> None:
    """The same bundle with changed members; the digest of what it says of itself is set right."""
    changed = [new for member in members_of(path) if (new := change(*member)) is not None]
    head = next(data for info, data in changed if info.name == "kernsym-bundle.json")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, data in changed:
            if info.name == "SHA256SUMS":
                first, _, rest = data.partition(b"\n")
                assert first.endswith(b"  kernsym-bundle.json")
                own = hashlib.sha256(head).hexdigest().encode()
                data = own + b"  kernsym-bundle.json\n" + rest
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    target.write_bytes(zstandard.ZstdCompressor().compress(buffer.getvalue()))
