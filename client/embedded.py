"""A server of the client's own, for as long as the client lives.

It listens on a free loopback port, wants a random token, works on the client's store, and ends
when its standard input does: even kill -9 of the client closes that.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from kernsym.client.server_api import ServerApi
from kernsym.distros import KernsymError

_STOP_SECONDS = 5.0


@contextlib.contextmanager
def embedded_server(
    store: Path,
    *,
    config: Path | None = None,
    offline: bool = False,
    verbose: bool = False,
    packages: Path | None = None,
) -> Iterator[ServerApi]:
    """Start a server on `store`, stop it at the end; `packages`: a folder where it looks first.

    Raises `KernsymError` (`embedded-failed`).
    """
    command = [sys.executable, "-m", "kernsym.server", "--embedded", "--store", str(store)]
    if config is not None:
        command += ["--config", str(config)]
    if packages is not None:
        command += ["--packages", str(packages)]
    if offline:
        command.append("--offline")
    token = secrets.token_urlsafe(24)
    with tempfile.TemporaryFile() as captured:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if verbose else captured,
            cwd="/",  # so that nothing beside the dump can pass for a Python module
        )
        try:
            yield ServerApi(_greet(process, token, captured), token)
        finally:
            _stop(process)


def _greet(process: subprocess.Popen[bytes], token: str, captured: IO[bytes]) -> str:
    """Hand the token over and learn the address."""
    assert process.stdin is not None and process.stdout is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(token.encode() + b"\n")
        process.stdin.flush()
    line = process.stdout.readline()
    if line:
        url: str = json.loads(line)["url"]
        return url
    process.wait()
    captured.seek(0)
    said = captured.read().decode(errors="replace").strip().splitlines()
    raise KernsymError(
        "embedded-failed",
        "the embedded server did not start",
        context=tuple(said[-5:]),
        hint="run kernsym doctor",
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None and process.stdout is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    process.stdout.close()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
