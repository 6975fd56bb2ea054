"""Checks the signature that an .rpm carries itself, for repositories whose index is not signed.

It covers the main header; that holds a digest of the payload since rpm 4.14 (2017).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from pysequoia import Sig

from kernsym.distros import CouldNotFindOut, Refused, Source
from kernsym.server.growing import ByteSource
from kernsym.server.signatures import certificates_of, keyrings_of, verify_detached
from kernsym.server.unpack.rpm_header import MAGIC, RpmHeader, read_header

# rpmfile's names of RSAHEADER and DSAHEADER, and of SIGPGP and SIGGPG of before 2003.
_SIGNATURES = ("rsaheader", "signature")
_OLD_SIGNATURES = ("pgp", "gpg", "pgp5")
# OpenPGP's numbers of hashes (RFC 9580, 9.5).
_HASHES = {8: "sha256", 9: "sha384", 10: "sha512", 11: "sha224"}
_WEAK_HASHES = ("MD5", "SHA1", "RIPEMD")
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRpm:
    """Who signed a package.

    `covers_payload`: whether the files are covered, not only the headers.  Where they are not, a
    digest from another source must vouch for them.
    """

    fingerprint: str
    covers_payload: bool


def voucher(package: ByteSource, source: Source) -> str | None:
    """Who vouches for all of an RPM by its own signature; None when nobody does.

    A signature that proves nothing (of a key that is not held, too weak) is like none, as the
    index of such a source need not be signed either.  Raises `Refused` (`signature-bad`) when
    what a held key signed was changed.
    """
    if source.signature == "skip" or package.read_at(0, len(MAGIC)) != MAGIC:
        return None
    try:
        signed = verify_rpm(package, keyrings_of(source))
    except CouldNotFindOut as error:
        if error.code != "keyring-missing":
            raise
        return None
    except Refused as error:
        if error.code not in ("signature-too-weak", "signature-unknown"):
            raise
        return None
    return signed.fingerprint if signed and signed.covers_payload else None


def verify_rpm(package: ByteSource, keyrings: Sequence[str]) -> SignedRpm | None:
    """The good signature of a trusted key that the package carries; None when it carries none.

    `keyrings` as for `verify_clear_signed`.  Reads the whole package where its header tells the
    payload's digest.  Raises `Refused` (`signature-bad`; `signature-unknown` for a key that is
    not in the keyrings; `signature-too-weak` for what rests on SHA-1 or MD5; `package-corrupt`)
    and `CouldNotFindOut` (`keyring-missing`).
    """
    header = read_header(package)
    signature = next((header.tags[tag] for tag in _SIGNATURES if tag in header.tags), None)
    if signature is None:
        if any(tag in header.tags for tag in _OLD_SIGNATURES):
            raise _too_weak("its signature is of the kind of before 2003")
        return None
    if not isinstance(signature, bytes):
        raise Refused("signature-bad", "the package's signature cannot be read")
    signed = package.read_at(header.start, header.end - header.start)
    try:
        fingerprint = verify_detached(signed, signature, keyrings)
    except Refused as error:
        raise _not_good(signature, keyrings, error) from error
    return SignedRpm(fingerprint=fingerprint, covers_payload=_check_payload(package, header))


def _not_good(signature: bytes, keyrings: Sequence[str], error: Refused) -> Refused:
    """Why a signature is not good, as far as it can be told."""
    try:
        sig = Sig.from_bytes(signature)
    except (RuntimeError, ValueError):
        return Refused("signature-bad", "the package's signature cannot be read")
    weakness = _weakness(sig)
    if weakness is not None:
        return _too_weak(weakness)
    held = tuple(cert.fingerprint.lower() for cert in certificates_of(keyrings))
    signer = (sig.issuer_fingerprint or sig.issuer_key_id or "").lower()
    known = bool(signer) and any(fingerprint.endswith(signer) for fingerprint in held)
    return Refused(
        "signature-bad" if known else "signature-unknown",
        "the package is not what was signed"
        if known
        else f"the package is signed by the key {signer.upper() or '?'}, which is not held",
        context=error.context,
        hint="download the package afresh; if it stays so, the mirror's copy is broken"
        if known
        else "name the distribution's key as signed_by in the [[source]]",
    )


def _weakness(sig: Sig) -> str | None:
    """What makes a signature worthless today; None if nothing does."""
    words = f"{sig.key_algorithm} with {sig.hash_algorithm}".replace("HashAlgorithm.", "")
    words = words.replace("PublicKeyAlgorithm.", "")
    weak = str(sig.hash_algorithm).rpartition(".")[2].upper().startswith(_WEAK_HASHES)
    return f"it is signed by {words}" if weak else None


def _too_weak(why: str) -> Refused:
    return Refused(
        "signature-too-weak",
        f"the package's signature proves nothing today: {why}",
        hint='a source of old products needs signature = "if-present" or "skip" in kernsym.toml',
    )


def _check_payload(package: ByteSource, header: RpmHeader) -> bool:
    """Whether the header tells the payload's digest.  Raises `Refused` when it is another."""
    announced = header.tags.get("payloaddigest")
    algorithm = header.tags.get("payloaddigestalgo", 8)
    name = _HASHES.get(algorithm) if isinstance(algorithm, int) else None
    if not (isinstance(announced, list) and len(announced) == 1 and name):
        return False
    digest = hashlib.new(name)
    position = header.end
    while block := package.read_at(position, _BLOCK):
        digest.update(block)
        position += len(block)
    if digest.hexdigest().encode() != announced[0]:
        raise Refused("signature-bad", "the package's files are not those that were signed")
    return True
