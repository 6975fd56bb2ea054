"""What the doctor finds on this machine, and on machines that lack something."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernsym.client.doctor import Check, examine
from tests.upstream import UpstreamServer


def checks(store: Path, server: str | None = None) -> dict[str, Check]:
    return {check.name: check for check in examine(store, server)}


def test_this_machine_can_do_the_job(tmp_path: Path) -> None:
    found = checks(tmp_path / "not/yet/there")
    assert {"python", "crash", "gdb", "drgn", "libarchive", "gpgv", "apt", "store"} <= set(found)
    assert [check for check in found.values() if check.status == "fail"] == []
    assert found["crash"].detail.startswith("crash ")
    assert "GB free" in found["store"].detail
    assert not (tmp_path / "not").exists()  # looking changes nothing


def test_everything_that_is_not_well_has_a_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    monkeypatch.delenv("LIBARCHIVE", raising=False)
    monkeypatch.delenv("KERNSYM_CRASH", raising=False)
    (tmp_path / "file").touch()
    found = checks(tmp_path / "file/store")
    ill = {name: check.status for name, check in found.items() if check.status != "ok"}
    assert ill.pop("keyring", "warn") == "warn"  # of distributions other than the machine's own
    assert ill.pop("gpgv") == "warn"
    assert ill == {"crash": "fail", "gdb": "warn", "libarchive": "fail", "store": "fail"}
    assert all(check.hint for check in found.values() if check.status != "ok")


@pytest.mark.parametrize(
    ("version", "status"), [("8.0.2", "warn"), ("8.0.6", "ok"), ("9.0.1", "ok")]
)
def test_an_old_crash_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, status: str
) -> None:
    program = tmp_path / "crash"
    program.write_text(f"#!/bin/sh\necho ' build_version: {version}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("KERNSYM_CRASH", str(program))
    check = checks(tmp_path)["crash"]
    assert check.status == status and version in check.detail
    assert (check.hint is None) is (status == "ok")


def test_a_crash_without_compressions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "kernsym.client.debuggers.programs.missing_compressions",
        lambda program: frozenset({"zstd", "lzo"}),
    )
    check = checks(tmp_path)["compression"]
    assert check.status == "warn" and "lzo, zstd" in check.detail


def test_a_server_is_asked_when_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "healthz").write_text("ok")
    with UpstreamServer(tmp_path) as server:
        assert checks(tmp_path, server.url)["server"].status == "ok"
        other = checks(tmp_path, f"{server.url}/elsewhere")["server"]
    assert other.status == "fail" and "404" in other.detail
    silent = checks(tmp_path, server.url)["server"]
    assert silent.status == "fail" and silent.hint
