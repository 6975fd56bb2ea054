"""Signatures by the programs that hold the user's keys: gpg makes them, gpgv judges them."""

from __future__ import annotations

import base64
import binascii
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from kernsym.distros import Refused, Unusable

_SECONDS = 300.0  # somebody may have to type a passphrase
_ARMOURED = re.compile(
    r"-----BEGIN PGP PUBLIC KEY BLOCK-----\r?\n(?:[^\r\n]+\r?\n)*\r?\n(?P<text>[A-Za-z0-9+/=\s]+?)"
    r"(?:\r?\n=[A-Za-z0-9+/]{4})?\r?\n-----END PGP PUBLIC KEY BLOCK-----"
)


def sign(data: bytes, key: str) -> bytes:
    """An armoured detached signature of a key, as gpg names keys.

    Raises `Unusable` (`program-missing`, `not-signed`).
    """
    command = ["--batch", "--yes", "--armor", "--detach-sign", "--local-user", key]
    done = _run("gpg", command, data)
    if done.returncode or not done.stdout:
        raise Unusable(
            "not-signed",
            f"gpg does not sign with the key {key}",
            context=_said(done),
            hint="gpg --list-secret-keys shows the keys that can",
        )
    return done.stdout


def require_signed(data: bytes, signature: bytes | None, keys: Path) -> str:
    """The fingerprint of whose good signature it is, of one of the `keys` in a file.

    Raises `Refused` (`signature-missing`, `signature-bad`) and `Unusable` (`program-missing`,
    `keys-unreadable`).
    """
    if signature is None:
        raise Refused(
            "signature-missing",
            "the bundle is not signed",
            hint="leave out --signed-by if you trust where it came from",
        )
    with tempfile.TemporaryDirectory(prefix="kernsym-keys-") as name:
        folder = Path(name)
        (folder / "keys").write_bytes(_binary(keys))
        (folder / "signature").write_bytes(signature)
        options = ["--homedir", name, "--keyring", str(folder / "keys"), "--status-fd", "1"]
        done = _run("gpgv", [*options, str(folder / "signature"), "-"], data)
    good = re.search(r"^\[GNUPG:\] VALIDSIG (?P<key>[0-9A-F]+)", done.stdout.decode(), re.MULTILINE)
    if done.returncode or good is None:
        raise Refused(
            "signature-bad",
            f"none of the keys in {keys} has signed this bundle",
            context=_said(done),
        )
    return good["key"]


def _run(program: str, arguments: Sequence[str], data: bytes) -> subprocess.CompletedProcess[bytes]:
    path = shutil.which(program)
    if path is None:
        raise Unusable(
            "program-missing", f"{program} is not on this machine", hint="install gnupg and gpgv"
        )
    return subprocess.run([path, *arguments], input=data, capture_output=True, timeout=_SECONDS)


def _said(done: subprocess.CompletedProcess[bytes]) -> tuple[str, ...]:
    return tuple(done.stderr.decode("utf-8", "replace").strip().splitlines()[-4:])


def _binary(keys: Path) -> bytes:
    """The keys without their armour, which gpgv does not take."""
    try:
        data = keys.read_bytes()
        blocks = _ARMOURED.findall(data.decode("ascii", "replace"))
        return b"".join(base64.b64decode(text, validate=False) for text in blocks) or data
    except (OSError, binascii.Error) as error:
        raise Unusable("keys-unreadable", f"no keys can be read from {keys}: {error}") from error
