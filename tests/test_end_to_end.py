"""The whole story on the bundled world: a real dump, its repository over HTTP, the real crash."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import BANNER, DEBUG_PACKAGE, KERNEL, SOURCE_PACKAGE, WORLD, Kernsym
from tests.upstream import UpstreamServer

VMCORE = WORLD / "vmcore"
COMMANDS = "bt\nmod\ngdb list panic\ngdb list ovl_fill_super\nquit\n"


def assert_everything_is_there(out: str) -> None:
    """Backtrace of the panic, an object file for every module, lines of kernel and module."""
    assert re.search(r"#\d+ \[[0-9a-f]+\] panic at", out)
    table = out[out.index("OBJECT FILE") :]
    modules = re.findall(r"(?m)^[0-9a-f]{16} +(\w+) +[0-9a-f]{16} +\d+ +(.*)$", table)
    assert len(modules) >= 2
    assert all(path.strip().endswith(".ko") for _, path in modules), modules
    assert re.search(r"(?m)^\d+\s+void panic\(const char \*fmt, \.\.\.\)", out)
    assert re.search(r"(?m)^\d+\s+static int ovl_fill_super\(", out)


def test_crash_opens_the_dump_with_everything(kernsym: Kernsym, mirror: UpstreamServer) -> None:
    first = kernsym("crash", VMCORE, text=COMMANDS)
    assert_everything_is_there(first.stdout)
    for label in ("dump ", "kernel ", "package ", "vmlinux ", "modules ", "sources "):
        assert re.search(f"(?m)^{label}", first.stderr), first.stderr
    assert "verified" in first.stderr
    assert mirror.hits[DEBUG_PACKAGE] == mirror.hits[SOURCE_PACKAGE] == 1

    asked = mirror.hits.copy()
    second = kernsym("crash", VMCORE, text=COMMANDS)
    assert_everything_is_there(second.stdout)
    assert mirror.hits == asked, "a second run must not touch the network"


def test_two_at_once_on_an_empty_store_download_once(
    kernsym: Kernsym, mirror: UpstreamServer
) -> None:
    runs = [kernsym.start("crash", VMCORE) for _ in range(2)]
    outputs = [run.communicate(COMMANDS, timeout=120) for run in runs]
    for run, (out, err) in zip(runs, outputs, strict=True):
        assert run.returncode == 0, err
        assert_everything_is_there(out)
    assert mirror.hits[DEBUG_PACKAGE] == mirror.hits[SOURCE_PACKAGE] == 1
    assert any("is bringing the same kernel" in err for _, err in outputs)


def test_printed_command_works_when_pasted(kernsym: Kernsym, tmp_path: Path) -> None:
    odd = tmp_path / "a dump of 'mine'"
    odd.symlink_to(VMCORE)
    command = kernsym("crash", "--print", odd, "--", "--no_kmem_cache").stdout
    assert "--no_kmem_cache" in shlex.split(command)
    done = subprocess.run(
        ["sh", "-c", command], input=COMMANDS, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0
    assert_everything_is_there(done.stdout)


def test_the_exit_status_is_that_of_crash(kernsym: Kernsym, tmp_path: Path) -> None:
    fake = tmp_path / "crash"
    fake.write_text(
        f'#!/bin/sh\n[ "$1" = --buildinfo ] && exec {shutil.which("crash")} "$@"\nexit 7'
    )
    fake.chmod(0o755)
    kernsym("crash", "--crash", fake, VMCORE, status=7)


def test_crash_that_is_missing_is_said_before_anything_is_fetched(
    kernsym: Kernsym, mirror: UpstreamServer
) -> None:
    done = kernsym("crash", "--crash", "/no/such/crash", VMCORE, status=2)
    assert "error[crash-missing]" in done.stderr and "hint:" in done.stderr
    assert not mirror.hits


def test_a_stray_startup_file_is_not_executed(kernsym: Kernsym, tmp_path: Path) -> None:
    beside = tmp_path / "evidence"
    beside.mkdir()
    (beside / ".crashrc").write_text(f"!touch {beside / 'executed'}\n")
    done = subprocess.run(
        [sys.executable, "-m", "kernsym.client", "crash", VMCORE],
        input="bt\nquit\n",
        cwd=beside,
        env={**os.environ, **kernsym.environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0 and "panic at" in done.stdout
    assert not (beside / "executed").exists()
    assert ".crashrc is not executed" in done.stderr


def test_modules_come_by_crash_where_the_dump_does_not_list_them(
    kernsym: Kernsym, tmp_path: Path
) -> None:
    """Without drgn (here: a package of that name that does not import) crash itself is asked."""
    (tmp_path / "drgn").mkdir()
    (tmp_path / "drgn/__init__.py").write_text("raise ImportError('not for this machine')\n")
    kernsym.environment["PYTHONPATH"] = str(tmp_path)
    done = kernsym("crash", VMCORE, text=COMMANDS)
    assert "crash will be asked which are loaded" in done.stderr
    assert_everything_is_there(done.stdout)


def test_at_a_terminal_the_prompt_comes_and_the_sources_follow(kernsym: Kernsym) -> None:
    process, terminal = start_at_terminal(kernsym, "crash", VMCORE)
    try:
        seen = read_until(terminal, b"crash> ")
        assert b"on their way" in seen
        tree = kernsym.store / "kernels" / KERNEL.key / "root/usr/src/linux-source-6.1"
        wait_for(lambda: (tree / "kernel/panic.c").is_file())
        os.write(terminal, b"gdb list panic\n")
        assert b"void panic(const char" in read_until(terminal, b"crash> ")
        os.write(terminal, b"quit\n")
        drain(terminal)
        assert process.wait(20) == 0
    finally:
        process.kill()


def test_interrupted_downloads_are_resumed(kernsym: Kernsym, mirror: UpstreamServer) -> None:
    mirror.rate = 4_000_000
    size = (WORLD / "repo" / DEBUG_PACKAGE.lstrip("/")).stat().st_size
    for how, status in ((signal.SIGINT, 130), (signal.SIGKILL, -9)):
        before = mirror.bytes_sent
        process = kernsym.start("crash", VMCORE)
        wait_for(lambda: mirror.bytes_sent > before + size // 5)  # noqa: B023
        os.killpg(process.pid, how) if how == signal.SIGINT else process.kill()
        _, err = process.communicate(timeout=20)
        assert process.returncode == status, err
        assert "Traceback" not in err
        wait_for(lambda: not embedded_servers(kernsym))
        assert not list(kernsym.store.glob("kernels/*/*/*/*/manifest.json"))
    mirror.rate = None
    before = mirror.bytes_sent
    done = kernsym("crash", "--no-sources", VMCORE, text="bt\nquit\n")
    assert "panic at" in done.stdout
    assert mirror.bytes_sent - before < size, "the third run must go on where the others stopped"


def test_a_tampered_package_is_refused(kernsym: Kernsym, tmp_path: Path) -> None:
    repository = tmp_path / "repo"
    shutil.copytree(WORLD / "repo", repository)
    package = repository / DEBUG_PACKAGE.lstrip("/")
    content = bytearray(package.read_bytes())
    content[-100] ^= 1
    package.write_bytes(content)
    with UpstreamServer(repository) as server:
        config = Path(kernsym.environment["KERNSYM_CONFIG"])
        config.write_text(re.sub(r"http://[^\"]+", server.url, config.read_text()))
        done = kernsym("crash", VMCORE, status=6)
    assert "error[digest-mismatch]" in done.stderr or "error[package-corrupt]" in done.stderr
    assert not list(kernsym.store.glob("kernels/*/*/*/*/manifest.json"))
    assert not list(kernsym.store.glob(".build-id/*/*"))


def test_identify_speaks_the_contract(kernsym: Kernsym, mirror: UpstreamServer) -> None:
    answer = json.loads(kernsym("identify", "--json", VMCORE).stdout)
    assert set(answer) == {
        "source",
        "verdict",
        "reason",
        "banner",
        "kernel",
        "candidates",
        "packages",
        "dump",
    }
    assert answer["verdict"] == "identified" and answer["banner"] == BANNER
    assert answer["kernel"]["uname"] == KERNEL.uname and answer["kernel"]["distro"] == "debian"
    assert [package["role"] for package in answer["packages"]] == ["debuginfo", "source"]
    assert answer["dump"]["format"] == "kdump" and answer["dump"]["compression"] == "zlib"

    lines = f"nothing\n[    0.000000] {BANNER}\nLinux version 1.2 (a@b) (gcc) #1\n"
    several = kernsym("identify", "--json", "-", text=lines).stdout.splitlines()
    verdicts = [json.loads(line)["verdict"] for line in several]
    assert verdicts == ["unknown", "identified", "unknown"]
    assert not mirror.hits


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (("crash", "/no/such/dump"), 2, "dump-not-found"),
        (("crash", "/"), 3, "dump-foreign"),
        (("fetch", "6.1.0-999-amd64"), 3, "ambiguous"),
        (("fetch", "ab" * 20), 3, "unknown"),
        (("show", "nothing"), 4, "not-held"),
        (("fetch", BANNER.replace(KERNEL.version, KERNEL.version + "9")), 4, "not-published"),
        (("--offline", "fetch", BANNER), 5, "offline"),
        (("--server", "http://127.0.0.1:9", "ls"), 5, "server-unreachable"),
        (("fetch", BANNER.replace("#1 SMP", "#2 SMP")), 6, "vmlinux-mismatch"),
    ],
)
def test_errors_have_their_code_hint_and_status(
    kernsym: Kernsym, arguments: tuple[str, ...], status: int, code: str
) -> None:
    done = kernsym(*arguments, status=status)
    assert f"error[{code}]: " in done.stderr
    assert done.stdout == "" and "Traceback" not in done.stderr


def test_the_store_commands(kernsym: Kernsym) -> None:
    vmlinux = Path(kernsym("fetch", BANNER, "--modules", "overlay").stdout.strip())
    assert vmlinux.is_file() and vmlinux.is_relative_to(kernsym.store)
    assert KERNEL.key in kernsym("ls").stdout
    shown = kernsym("show", KERNEL.uname).stdout
    assert BANNER in shown and "overlay.ko" in shown
    links = list(kernsym.store.glob(".build-id/*/*.debug"))
    assert len(links) == 2 and all(link.resolve().is_file() for link in links)
    assert "removed" in kernsym("rm", KERNEL.key).stderr
    assert kernsym("ls").stdout == "" and not list(kernsym.store.glob(".build-id/*/*"))


@contextmanager
def shared_server(kernsym: Kernsym) -> Iterator[str]:
    """`kernsym serve` on a store of its own, ended by SIGTERM."""
    process = kernsym.start("--store", kernsym.home / "shared", "serve", "--listen", "127.0.0.1:0")
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if found := re.search(r"at (http://\S+)", line):
                yield found[1]
                break
    finally:
        process.terminate()
        process.communicate(timeout=20)
        assert process.returncode == 0


def test_a_shared_server_serves_kernsym_and_debuginfod_clients(
    kernsym: Kernsym, mirror: UpstreamServer
) -> None:
    kernsym.environment["KERNSYM_TOKEN"] = "s3cret"
    with shared_server(kernsym) as url:
        done = kernsym("--server", url, "crash", VMCORE, text=COMMANDS)
        assert_everything_is_there(done.stdout)
        assert str(kernsym.store) in done.stdout, "files are copied to the client's own store"
        assert KERNEL.key in kernsym("--server", url, "ls").stdout
        bundle = json.loads(kernsym("--server", url, "show", "--json", KERNEL.uname).stdout)
        build_id = bundle["verification"]["build_id"]
        environment = {
            **os.environ,
            "DEBUGINFOD_URLS": url,
            "DEBUGINFOD_CACHE_PATH": str(kernsym.home / "c"),
        }
        for kind in (["debuginfo"], ["executable"], ["source", "/kernel/panic.c"]):
            found = subprocess.run(
                ["debuginfod-find", kind[0], build_id, *kind[1:]],
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            )
            assert Path(found.stdout.strip()).stat().st_size > 1000
    assert mirror.hits[DEBUG_PACKAGE] == 1
    asked = mirror.hits.copy()
    kernsym("crash", VMCORE, text=COMMANDS)
    assert mirror.hits == asked, "what was copied serves without a server"


def start_at_terminal(
    kernsym: Kernsym, *arguments: str | Path
) -> tuple[subprocess.Popen[bytes], int]:
    """The command with a terminal of its own as standard input, output and error."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "kernsym.client", *map(str, arguments)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=kernsym.home,
        env={**os.environ, **kernsym.environment, "TERM": "dumb"},
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    return process, ours


def read_until(terminal: int, text: bytes, seconds: float = 60) -> bytes:
    seen = b""
    end = time.monotonic() + seconds
    while text not in seen:
        ready, _, _ = select.select([terminal], [], [], max(0.0, end - time.monotonic()))
        assert ready, seen.decode(errors="replace")
        seen += os.read(terminal, 65536)
    return seen


def drain(terminal: int) -> None:
    """Read to the end, which a closed terminal shows as an error."""
    try:
        while os.read(terminal, 65536):
            pass
    except OSError:
        os.close(terminal)


def wait_for(condition: object, seconds: float = 30) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def embedded_servers(kernsym: Kernsym) -> list[str]:
    """Servers that work on the store of this test, from /proc."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if "kernsym.server" in command and str(kernsym.store) in command:
            found.append(command)
    return found
