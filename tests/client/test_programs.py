"""Finding crash: the real one of this machine, and programs that are not what they seem."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kernsym.client.debuggers.programs import find_crash, install_hint, program_output
from kernsym.distros import Unusable


def script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def unnamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KERNSYM_CRASH", raising=False)


def test_the_crash_of_this_machine() -> None:
    crash = find_crash()
    assert crash.path == Path(str(shutil.which("crash")))
    assert crash.version >= (7,)
    assert crash.target
    assert crash.lacks == frozenset()  # Debian's and Ubuntu's have all three


def test_the_named_one_comes_first_then_the_environment_then_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = "echo '   build_target: ARM64'; echo '  build_version: %s'"
    for name, version in (("named", "9.0.1"), ("environment", "8.0.6++"), ("crash", "7.3.2-4.el9")):
        script(tmp_path / name, answer % version)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert find_crash().version == (7, 3, 2)
    monkeypatch.setenv("KERNSYM_CRASH", str(tmp_path / "environment"))
    assert find_crash().version == (8, 0, 6)
    crash = find_crash(str(tmp_path / "named"))
    assert (crash.version, crash.target, crash.path) == ((9, 0, 1), "ARM64", tmp_path / "named")


def test_a_machine_without_crash_is_told_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unusable) as caught:
        find_crash()
    assert caught.value.code == "crash-missing"
    assert "crash" in (caught.value.hint or "") and "--crash" in (caught.value.hint or "")


@pytest.mark.parametrize("name", ["absent", "not-executable", "folder"])
def test_a_named_crash_that_cannot_run(tmp_path: Path, name: str) -> None:
    (tmp_path / "not-executable").write_text("#!/bin/sh\n")
    (tmp_path / "folder").mkdir()
    with pytest.raises(Unusable) as caught:
        find_crash(str(tmp_path / name))
    assert caught.value.code == "crash-missing" and name in caught.value.message


@pytest.mark.parametrize("body", ["exit 1", "echo nothing of use", "kill -9 $$"])
def test_a_program_that_is_no_crash(tmp_path: Path, body: str) -> None:
    with pytest.raises(Unusable) as caught:
        find_crash(str(script(tmp_path / "crash", body)))
    assert caught.value.code == "crash-broken"


def test_a_program_that_does_not_end_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kernsym.client.debuggers.programs._MOST_SECONDS", 0.2)
    assert program_output(script(tmp_path / "slow", "exec sleep 60")) == ""


@pytest.mark.parametrize(
    ("system", "hint"),
    [
        ({"ID": "debian"}, "apt install crash"),
        ({"ID": "linuxmint", "ID_LIKE": "ubuntu debian"}, "apt install crash"),
        ({"ID": "rocky", "ID_LIKE": "rhel centos fedora"}, "dnf install crash"),
        ({"ID": "sles", "ID_LIKE": "suse"}, "zypper install crash"),
        ({"ID": "nixos"}, "install the package crash"),
    ],
)
def test_the_hint_fits_the_machine(
    system: dict[str, str], hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: system)
    assert install_hint("crash") == hint
