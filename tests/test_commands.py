"""The commands besides crash: their answers, their errors with code, hint and exit status."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import BANNER, KERNEL, WORLD, Kernsym
from tests.story import VMCORE
from tests.upstream import UpstreamServer


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
        "evidence",
        "rejected",
        "possible",
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
        (("fetch", "ab" * 20), 4, "not-held"),
        (("show", "nothing"), 4, "not-held"),
        (("fetch", BANNER.replace(KERNEL.version, KERNEL.version + "9")), 4, "not-published"),
        (("--offline", "fetch", BANNER), 5, "offline"),
        (("jobs",), 2, "server-needed"),
        (("token", "list"), 2, "tokens-file-unknown"),
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


def test_a_folder_of_packages_is_a_source(
    kernsym: Kernsym, mirror: UpstreamServer, tmp_path: Path
) -> None:
    """As for packages that were brought by hand: no index, no digest, judged by the vmlinux."""
    folder = tmp_path / "by hand"
    shutil.copytree(WORLD / "repo/pool/main/l/linux", folder)
    config = Path(kernsym.environment["KERNSYM_CONFIG"])
    config.write_text(
        f"""
[builtin]
sources = false
[[source]]
distro = "debian"
kind = "directory"
url = "{folder.as_uri()}/"
"""
    )
    done = kernsym("fetch", "--sources", BANNER)
    assert Path(done.stdout.strip()).is_file()
    assert "no signature" in done.stderr and "verified" in done.stderr
    assert not mirror.hits


def test_a_log_and_a_build_id_stand_for_their_kernel(kernsym: Kernsym, tmp_path: Path) -> None:
    log = tmp_path / "messages"
    log.write_text(f"[    0.000000] {BANNER}\n[    0.000000] Command line: ro\nusb\nsda\n")
    vmlinux = Path(kernsym("fetch", log).stdout.strip())
    assert vmlinux.is_file()
    bundle = json.loads(kernsym("show", "--json", KERNEL.uname).stdout)
    build_id = bundle["kernel"]["build_id"]
    answer = json.loads(kernsym("identify", "--json", build_id).stdout)
    assert answer["kernel"]["uname"] == KERNEL.uname and answer["verdict"] == "identified"
    kernsym("identify", "0" * 40, status=3)

    log.write_text(f"{BANNER}\n{BANNER.replace('#1 SMP', '#2 SMP')}\n")
    assert "error[several-kernels]" in kernsym("fetch", log, status=2).stderr


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


def test_tokens_are_shown_once_and_revoked(kernsym: Kernsym) -> None:
    config = Path(kernsym.environment["KERNSYM_CONFIG"])
    file = kernsym.home / "tokens"
    config.write_text(config.read_text() + f'[server]\ntokens_file = "{file}"\n')
    made = kernsym("token", "new", "--role", "fetch", "--expires", "90d", "--comment", "CI")
    words = made.stdout.strip()
    assert words.startswith("kernsym_") and words not in made.stderr
    assert words not in file.read_text() and file.stat().st_mode & 0o777 == 0o600
    listed = json.loads(kernsym("--json", "token", "list").stdout)
    assert (listed["role"], listed["comment"]) == ("fetch", "CI") and "token" not in listed
    assert f"{listed['id']}  fetch  until " in kernsym("token", "list").stdout
    assert listed["id"] in kernsym("token", "revoke", listed["id"]).stderr
    assert kernsym("token", "list").stdout == ""
    again = kernsym("token", "revoke", listed["id"], status=1)
    assert "error[no-such-token]" in again.stderr
    kernsym("token", "new", "--role", "fetch", "--expires", "soon", status=2)
