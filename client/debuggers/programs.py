"""Finds the debuggers on this machine, and what to install where one is missing."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

from kernsym.client.debuggers.crash_versions import CrashProgram, missing_compressions, numbers
from kernsym.distros import Unusable

_MOST_SECONDS = 20.0


def find_crash(named: str | None = None) -> CrashProgram:
    """crash as named (`--crash`), by KERNSYM_CRASH, or on the PATH, asked for its version.

    Raises `Unusable` (`crash-missing`, `crash-broken`).
    """
    wish = named or os.environ.get("KERNSYM_CRASH")
    found = shutil.which(wish or "crash")
    if found is None:
        raise Unusable(
            "crash-missing",
            f"{wish} is not a program that can be run" if wish else "crash is not installed",
            hint=f"{install_hint('crash')}, or name it with --crash PATH or KERNSYM_CRASH",
        )
    path = Path(found).absolute()
    facts = dict(re.findall(r"(?m)^\s*(\w+): (\S+)", program_output(path, "--buildinfo")))
    if not numbers(facts.get("build_version", "")):
        raise Unusable(
            "crash-broken",
            f"{path} does not say which crash it is",
            hint=f"try {path} --buildinfo, or name another with --crash PATH",
        )
    return CrashProgram(
        path=path,
        version=numbers(facts["build_version"]),
        target=facts.get("build_target", ""),
        lacks=missing_compressions(path.read_bytes()),
    )


def program_output(path: Path, *arguments: str) -> str:
    """What a program prints and does not wait for; "" when it fails or takes too long."""
    try:
        done = subprocess.run(
            [path, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_MOST_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace")


# How packages are installed, by ID and ID_LIKE of os-release(5).
_INSTALLERS = {
    "debian": "apt install",
    "ubuntu": "apt install",
    "fedora": "dnf install",
    "rhel": "dnf install",
    "centos": "dnf install",
    "amzn": "dnf install",
    "ol": "dnf install",
    "suse": "zypper install",
    "opensuse": "zypper install",
    "photon": "tdnf install",
}


def install_hint(package: str) -> str:
    """The command that installs a package here.

    >>> install_hint("crash").endswith("crash")
    True
    """
    try:
        system = platform.freedesktop_os_release()
    except OSError:
        system = {}
    words = [system.get("ID", ""), *system.get("ID_LIKE", "").split()]
    installer = next((_INSTALLERS[word] for word in words if word in _INSTALLERS), None)
    return f"{installer} {package}" if installer else f"install the package {package}"
