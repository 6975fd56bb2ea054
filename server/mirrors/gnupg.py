"""Asks GnuPG's gpgv about signatures that pysequoia does not judge.

It refuses SHA-1 and DSA (products of before 2012) and version 3 of the packet, which RPMs may have,
whoever asks; and it would hold in memory what a signature over all of a package covers.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pysequoia import Cert

from kernsym.distros import CouldNotFindOut, Refused

_SECONDS = 900.0  # a package of 2 GB is hashed in some twenty
_PROGRAM = "gpgv"
# OpenPGP's numbers (RFC 9580, 9.1 and 9.5); gpgv itself refuses MD5.
_KEYS = {"1": "RSA", "17": "DSA", "19": "ECDSA", "22": "EdDSA"}
_HASHES = {"2": "SHA-1", "3": "RIPEMD-160", "8": "SHA-256", "9": "SHA-384", "10": "SHA-512"}
_WEAK = ("DSA", "SHA-1")
_JUDGEMENTS = ("GOODSIG", "EXPKEYSIG", "EXPSIG", "REVKEYSIG", "BADSIG", "ERRSIG")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A good signature: of which certificate (upper-case hex), and what is weak about it."""

    fingerprint: str
    weakness: str

    @property
    def signed_by(self) -> str:
        """For `PackageRef.signed_by`: the fingerprint, and the weakness if there is one."""
        return f"{self.fingerprint} ({self.weakness})" if self.weakness else self.fingerprint


def judge_detached(
    data: Iterable[bytes], signature: bytes, certificates: Sequence[Cert]
) -> Judged | None:
    """The good signature of one of the certificates over `data`; None: there is none.

    Raises `CouldNotFindOut` (`gpgv-missing`, `gpgv-failed`).
    """
    with tempfile.TemporaryDirectory(prefix="kernsym-gpgv-") as folder:
        path = Path(folder) / "signature"
        path.write_bytes(signature)
        return _judgement(_run(Path(folder), certificates, [str(path), "-"], data))


def judge_clear_signed(data: bytes, certificates: Sequence[Cert]) -> tuple[Judged, bytes] | None:
    """As `judge_detached` for a clear-signed text, with exactly what the signature covers."""
    with tempfile.TemporaryDirectory(prefix="kernsym-gpgv-") as folder:
        path, body = Path(folder) / "signed", Path(folder) / "body"
        path.write_bytes(data)
        status = _run(Path(folder), certificates, ["--output", str(body), str(path)], ())
        judged = _judgement(status)
        return (judged, body.read_bytes()) if judged and body.is_file() else None


def _run(
    folder: Path, certificates: Sequence[Cert], arguments: list[str], data: Iterable[bytes]
) -> list[list[str]]:
    """What gpgv says, as the words of its status lines."""
    program = shutil.which(_PROGRAM)
    if program is None:
        raise CouldNotFindOut(
            "gpgv-missing",
            "signatures of this old form are checked by gpgv, which is not on this machine",
            hint='install gpgv (or gnupg2), or give the [[source]] signature = "skip"',
        )
    keyring = folder / "keys"
    keyring.write_bytes(b"".join(bytes(certificate) for certificate in certificates))
    command = [program, "--homedir", str(folder), "--status-fd", "1", "--keyring", str(keyring)]
    with subprocess.Popen(
        [*command, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "LC_ALL": "C"},
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        timer = threading.Timer(_SECONDS, process.kill)
        timer.start()
        try:
            with contextlib.suppress(BrokenPipeError), process.stdin:
                for piece in data:
                    process.stdin.write(piece)
            said = process.stdout.read().decode("utf-8", "replace")
        finally:
            timer.cancel()
    if process.returncode < 0:
        raise CouldNotFindOut("gpgv-failed", "gpgv was ended before it had judged the signature")
    lines = (line.split() for line in said.splitlines())
    return [words[1:] for words in lines if words[:1] == ["[GNUPG:]"] and len(words) > 1]


def _judgement(status: list[list[str]]) -> Judged | None:
    """The first good signature; one of a key that has expired since was good when it was made.

    The lines are those of doc/DETAILS of GnuPG: a judgement, for a good one VALIDSIG behind it.
    """
    judgement, expired = "", 0
    for word, *rest in status:
        if word in _JUDGEMENTS:
            judgement = word
        elif word == "KEYEXPIRED" and rest and rest[0].isdecimal():
            expired = int(rest[0])
        elif word == "VALIDSIG" and len(rest) >= 10 and rest[2].isdecimal():
            made = int(rest[2])
            if judgement == "GOODSIG" or (judgement == "EXPKEYSIG" and made <= expired):
                return Judged(fingerprint=rest[9].upper(), weakness=_weakness(rest[6], rest[7]))
    return None


def _weakness(key: str, digest: str) -> str:
    """What is weak, in words; "" for nothing.  Raises `Refused` for what is worthless."""
    names = _KEYS.get(key, f"key algorithm {key}"), _HASHES.get(digest, f"hash {digest}")
    if names[1] not in _HASHES.values() or names[1] == "RIPEMD-160":
        raise Refused("signature-too-weak", f"a signature with {names[1]} proves nothing")
    return f"{' with '.join(names)}, weak" if set(names) & set(_WEAK) else ""
