"""The whole story on the bundled world: a real dump, its repository over HTTP, the real crash."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from tests.conftest import DEBUG_PACKAGE, KERNEL, SOURCE_PACKAGE, WORLD, Kernsym
from tests.processes import drain, embedded_servers, read_until, start_at_terminal, wait_for
from tests.story import COMMANDS, VMCORE, assert_everything_is_there
from tests.upstream import UpstreamServer


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
    told = "\n".join(err for _, err in outputs)
    assert "is bringing the same kernel" in told
    assert told.count(" verified: ") == len(re.findall(r"sources +\d+ files", told)) == 1


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


def test_nothing_beside_the_dump_is_executed(kernsym: Kernsym, tmp_path: Path) -> None:
    beside = tmp_path / "evidence"
    beside.mkdir()
    (beside / ".crashrc").write_text(f"!touch {beside / 'executed'}\n")
    for module in ("aiohttp", "drgn", "kernsym"):
        (beside / f"{module}.py").write_text(f"open({str(beside / 'executed')!r}, 'w')\n")
    done = subprocess.run(
        [Path(sys.executable).with_name("kernsym"), "crash", VMCORE],
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
