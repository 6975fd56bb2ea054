"""Makes OpenPGP signatures as old RPMs have them: version 3, SHA-1, DSA.  openssl does the sums.

Written after RFC 9580: 4.2 (packets), 5.2.2 and 5.2.3 (signatures), 5.5.2 (keys).
"""

from __future__ import annotations

import hashlib
import re
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_MADE = 1_230_768_000  # 2009
_RSA, _DSA = 1, 17
_HASHES = {"sha1": 2, "sha256": 8}
_SIGNATURE, _PUBLIC_KEY, _USER_ID = 2, 6, 13


@dataclass(frozen=True, slots=True, kw_only=True)
class OldKey:
    """A key in PEM, and its certificate; `fingerprint` in upper-case hex."""

    pem: Path
    algorithm: int
    certificate: bytes
    fingerprint: str

    def sign(self, data: bytes, digest: str = "sha256") -> bytes:
        """A detached signature of version 3, made a day after the key."""
        covered = b"\0" + struct.pack(">I", _MADE + 86400)
        key = bytes([*bytes.fromhex(self.fingerprint)[-8:], self.algorithm, _HASHES[digest]])
        numbers = _numbers(self.pem, self.algorithm, data + covered, digest)
        return _packet(_SIGNATURE, b"\x03\x05" + covered + key + numbers)


def old_key(folder: Path, *, dsa: bool = False, lifetime: int = 0) -> OldKey:
    """A new key with a certificate of version 4, self-signed with SHA-256.  `lifetime`: seconds
    after which it expires; 0: never."""
    pem = folder / "key.pem"
    if dsa:
        sizes = ("-pkeyopt", "dsa_paramgen_bits:1024", "-pkeyopt", "dsa_paramgen_q_bits:160")
        pem.write_bytes(_openssl("genpkey", "-genparam", "-algorithm", "DSA", *sizes))
        pem.write_bytes(_openssl("genpkey", "-paramfile", str(pem)))
    else:
        _openssl("genrsa", "-out", str(pem), "2048")
    algorithm = _DSA if dsa else _RSA
    body = b"\x04" + struct.pack(">IB", _MADE, algorithm) + _public(pem, dsa=dsa)
    named = b"\x99" + struct.pack(">H", len(body)) + body
    fingerprint = hashlib.sha1(named).digest()
    user = b"old key <old@example.com>"
    hashed = _subpackets(
        (2, struct.pack(">I", _MADE)),
        (9, struct.pack(">I", lifetime)),
        (27, b"\x03"),
        (33, b"\x04" + fingerprint),
    )
    head = bytes([4, 0x13, algorithm, _HASHES["sha256"]]) + hashed
    covered = named + b"\xb4" + struct.pack(">I", len(user)) + user + head
    covered += b"\x04\xff" + struct.pack(">I", len(head))
    issuer = _subpackets((16, fingerprint[-8:]))
    self_signature = head + issuer + _numbers(pem, algorithm, covered, "sha256")
    return OldKey(
        pem=pem,
        algorithm=algorithm,
        certificate=_packet(_PUBLIC_KEY, body)
        + _packet(_USER_ID, user)
        + _packet(_SIGNATURE, self_signature),
        fingerprint=fingerprint.hex().upper(),
    )


def _public(pem: Path, *, dsa: bool) -> bytes:
    """The numbers of the public key: n and e, or p, q, g and y."""
    if not dsa:
        shown = _openssl("rsa", "-in", str(pem), "-noout", "-modulus").decode()
        return _mpi(int(shown.strip().partition("=")[2], 16)) + _mpi(65537)
    shown = _openssl("dsa", "-in", str(pem), "-noout", "-text").decode()
    parts = {
        name: int(re.sub(r"\s|:", "", digits), 16)
        for name, digits in re.findall(r"(?m)^(pub|P|Q|G): *\n((?:    .*\n?)+)", shown)
    }
    return b"".join(_mpi(parts[name]) for name in ("P", "Q", "G", "pub"))


def _numbers(pem: Path, algorithm: int, data: bytes, digest: str) -> bytes:
    """The first bytes of the digest, and the numbers of the signature."""
    signed = _openssl("dgst", f"-{digest}", "-sign", str(pem), stdin=data)
    numbers = [int.from_bytes(signed, "big")] if algorithm == _RSA else _der_integers(signed)
    return hashlib.new(digest, data).digest()[:2] + b"".join(map(_mpi, numbers))


def _der_integers(sequence: bytes) -> Sequence[int]:
    """The two of a DSA signature: a SEQUENCE of INTEGERs, each shorter than 128 bytes."""
    first = sequence[4 : 4 + sequence[3]]
    second = sequence[4 + len(first) + 2 :]
    return int.from_bytes(first, "big"), int.from_bytes(second, "big")


def _mpi(number: int) -> bytes:
    bits = number.bit_length()
    return struct.pack(">H", bits) + number.to_bytes((bits + 7) // 8, "big")


def _subpackets(*packets: tuple[int, bytes]) -> bytes:
    packed = b"".join(bytes([len(data) + 1, kind]) + data for kind, data in packets)
    return struct.pack(">H", len(packed)) + packed


def _packet(kind: int, body: bytes) -> bytes:
    return bytes([0x81 | kind << 2]) + struct.pack(">H", len(body)) + body


def _openssl(*arguments: str, stdin: bytes = b"") -> bytes:
    command = ["openssl", *arguments]
    return subprocess.run(command, input=stdin, check=True, capture_output=True).stdout
