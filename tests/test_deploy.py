"""The files of `deploy/`, as systemd judges them; nginx's is tried by test_debuginfod_nginx.py."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[1] / "deploy"
PROGRAM = "/opt/kernsym/bin/kernsym"
UNITS = (".service", ".socket", ".timer")
MOST_EXPOSURE = "20"  # 2.0 of 10; a service without any hardening has 9.6


@pytest.fixture
def units(tmp_path: Path) -> list[Path]:
    """The units with a program that is there."""
    found = []
    for unit in sorted(path for path in DEPLOY.iterdir() if path.suffix in UNITS):
        text = unit.read_text().replace(PROGRAM, sys.executable)
        found.append(tmp_path / unit.name)
        found[-1].write_text(text)
    return found


def test_systemd_understands_the_units(units: list[Path]) -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_services_can_do_little_but_their_work(units: list[Path]) -> None:
    services = [unit for unit in units if unit.suffix == ".service"]
    assert len(services) == 2
    for unit in services:
        subprocess.run(
            [
                *("systemd-analyze", "security", "--no-pager", "--offline=true"),
                *(f"--threshold={MOST_EXPOSURE}", unit),
            ],
            check=True,
            capture_output=True,
        )


def test_the_units_fit_together() -> None:
    service, socket = (DEPLOY / f"kernsym.{kind}" for kind in ("service", "socket"))
    assert f"ExecStart={PROGRAM} serve\n" in service.read_text()
    assert "Type=notify\n" in service.read_text()
    listen = re.search(r"ListenStream=(\S+)", socket.read_text())
    assert listen and f"server {listen[1]};" in (DEPLOY / "nginx.conf").read_text()
