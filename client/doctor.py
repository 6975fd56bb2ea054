"""What this machine has and lacks for the job, as values; the command prints them."""

from __future__ import annotations

import ctypes.util
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kernsym.client.debuggers.crash_versions import NEEDS, NEWER_CRASH_HINT, dotted
from kernsym.client.debuggers.programs import find_crash, install_hint, program_output
from kernsym.distros import KernsymError, catalog

_OLDEST_PYTHON = (3, 10)
# Of Debian's stable releases; crash is judged by whether it can open dumps of all of them.
_NEWEST_KERNEL = (6, 12)
# vmlinux, modules and sources of one kernel, and its packages while they are unpacked.
_ROOM_FOR_ONE = 4_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing looked at.  `status`: `ok`, `warn` (the job is possible) or `fail`."""

    name: str
    status: str
    detail: str
    hint: str | None = None


def examine(store: Path, server: str | None = None) -> tuple[Check, ...]:
    """All checks, in the order to read them; only `server`, when named, is asked over a network."""
    checks = [
        _python(),
        *_crash(),
        _gdb(),
        _drgn(),
        _libarchive(),
        _gpgv(),
        *_apt(),
        *_store(store),
    ]
    if server is not None:
        checks.append(_server(server))
    return tuple(checks)


def _python() -> Check:
    good = sys.version_info >= _OLDEST_PYTHON
    return Check(
        name="python",
        status="ok" if good else "fail",
        detail=f"Python {platform.python_version()}, {sys.executable}",
        hint=None if good else f"Python {dotted(_OLDEST_PYTHON)} or newer is needed",
    )


def _crash() -> Iterator[Check]:
    try:
        crash = find_crash()
    except KernsymError as error:
        yield Check(name="crash", status="fail", detail=error.message, hint=error.hint)
        return
    known = max(need.crash for need in NEEDS if need.kernel <= _NEWEST_KERNEL)
    new = crash.version >= known
    yield Check(
        name="crash",
        status="ok" if new else "warn",
        detail=f"{crash.title} for {crash.target or 'an unknown machine'}, {crash.path}",
        hint=None if new else f"some kernels need {dotted(known)}; {NEWER_CRASH_HINT}",
    )
    if crash.lacks:
        words = ", ".join(sorted(crash.lacks))
        yield Check(
            name="compression",
            status="warn",
            detail=f"{crash.path} cannot read dumps compressed with {words}",
            hint=f"build crash with `make {' '.join(sorted(crash.lacks))}`",
        )


def _gdb() -> Check:
    found = shutil.which("gdb")
    if found is None:
        return Check(
            name="gdb",
            status="warn",
            detail="gdb is not installed; with it crash starts in half the time, from the second"
            " time on",
            hint=install_hint("gdb"),
        )
    title = program_output(Path(found), "--version").partition("\n")[0]
    return Check(name="gdb", status="ok", detail=f"{title or 'of unknown version'}, {found}")


def _drgn() -> Check:
    if importlib.util.find_spec("drgn") is None:
        return Check(
            name="drgn",
            status="warn",
            detail="drgn is not installed: crash lists the modules, without build IDs",
            hint=f"{sys.executable} -m pip install drgn",
        )
    return Check(name="drgn", status="ok", detail=f"drgn {importlib.metadata.version('drgn')}")


def _libarchive() -> Check:
    found = os.environ.get("LIBARCHIVE") or ctypes.util.find_library("archive")
    if found is None:
        return Check(
            name="libarchive",
            status="fail",
            detail="libarchive is not installed; packages are unpacked with it",
            hint=install_hint("libarchive13"),
        )
    return Check(name="libarchive", status="ok", detail=found)


def _gpgv() -> Check:
    found = shutil.which("gpgv")
    if found is None:
        return Check(
            name="gpgv",
            status="warn",
            detail="gpgv is not installed; it checks the old forms of RPM signatures",
            hint=install_hint("gpgv"),
        )
    title = program_output(Path(found), "--version").partition("\n")[0]
    return Check(name="gpgv", status="ok", detail=f"{title or 'of unknown version'}, {found}")


def _apt() -> Iterator[Check]:
    """Package sources and keyrings; a machine without apt asks the built-in archives."""
    folder = Path("/etc/apt")
    files = [*folder.glob("sources.list"), *folder.glob("sources.list.d/*.[ls]*")]
    closed = [str(path) for path in files if not os.access(path, os.R_OK)]
    detail = f"{len(files)} files of package sources in {folder}"
    yield Check(
        name="apt",
        status="warn" if closed else "ok",
        detail=f"not readable: {', '.join(closed)}" if closed else detail,
        hint="the built-in archives are asked instead" if closed else None,
    )
    for distro in catalog().values():
        if distro.keyring_package and not any(Path(path).exists() for path in distro.keyrings):
            yield Check(
                name="keyring",
                status="warn",
                detail=f"no keyring of {distro.title}: its archive cannot be trusted",
                hint=install_hint(distro.keyring_package),
            )


def _store(store: Path) -> Iterator[Check]:
    existing = next(path for path in (store, *store.parents) if path.exists())
    if not os.access(existing, os.W_OK | os.X_OK) or not existing.is_dir():
        yield Check(
            name="store",
            status="fail",
            detail=f"{store} cannot be written",
            hint="name another folder with --store or KERNSYM_STORE",
        )
        return
    free = shutil.disk_usage(existing).free
    roomy = free >= _ROOM_FOR_ONE
    yield Check(
        name="store",
        status="ok" if roomy else "warn",
        detail=f"{store}, {free / 1e9:.1f} GB free",
        hint=None if roomy else f"one kernel can take {_ROOM_FOR_ONE / 1e9:.0f} GB while it comes",
    )


def _server(url: str) -> Check:
    import requests

    try:
        answer = requests.get(f"{url.rstrip('/')}/healthz", timeout=10)
    except requests.RequestException as error:
        return Check(
            name="server",
            status="fail",
            detail=f"{url} does not answer: {type(error).__name__}",
            hint="look at --server, KERNSYM_URL and the network",
        )
    good = answer.status_code == 200
    return Check(
        name="server",
        status="ok" if good else "fail",
        detail=f"{url} answers with status {answer.status_code}",
        hint=None if good else "is it a kernsym server?",
    )
