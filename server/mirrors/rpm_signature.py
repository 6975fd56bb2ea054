"""Checks the signature that an .rpm carries itself, for repositories whose index is not signed.

One covers the main header, which holds a digest of the payload since rpm 4.14 (2017); before, a
second one covers header and payload together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pysequoia import Cert, Sig

from kernsym.distros import CouldNotFindOut, Refused, Source
from kernsym.server.mirrors.gnupg import judge_detached
from kernsym.server.mirrors.growing import ByteSource
from kernsym.server.mirrors.signatures import (
    certificates_of,
    key_missing,
    keyring_hint,
    keyrings_of,
    name_of,
    signers_of,
    verify_detached,
)
from kernsym.server.unpack.packages.rpm_header import MAGIC, RpmHeader, read_header

# rpmfile's names of RSAHEADER and DSAHEADER; of SIGPGP and SIGGPG, over header and payload.
_OF_HEADER = ("rsaheader", "signature")
_OF_ALL = ("pgp", "gpg")
# OpenPGP's numbers of hashes (RFC 9580, 9.5).
_HASHES = {8: "sha256", 9: "sha384", 10: "sha512", 11: "sha224"}
_WEAK_HASHES = ("MD5", "SHA1", "RIPEMD")
_BLOCK = 1 << 20
# Where no signature is demanded, one that proves nothing is like none.
_LIKE_NONE = ("keyring-missing", "gpgv-missing", "signature-too-weak", "signature-unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRpm:
    """Who signed a package, as in `PackageRef.signed_by`.

    `covers_payload`: whether the files are covered, not only the headers.  Where they are not, a
    digest from another source must vouch for them.
    """

    signed_by: str
    covers_payload: bool


def voucher(package: ByteSource, source: Source, *, weak: bool = False) -> str | None:
    """Who vouches for all of a package by its own signature; None when nobody does, and the source
    does not demand it.  `weak` as for `verify_detached`.

    Raises `Refused` (`signature-bad`) when what a held key signed was changed; where a signature
    is demanded also what `verify_rpm` raises, and `signature-missing`.
    """
    demanded = source.signature == "require"
    if source.signature == "skip":
        return None
    signed = None
    if package.read_at(0, len(MAGIC)) == MAGIC:
        try:
            signed = verify_rpm(package, keyrings_of(source), weak=weak)
        except (CouldNotFindOut, Refused) as error:
            if demanded or error.code not in _LIKE_NONE:
                raise
    if signed is not None and signed.covers_payload:
        return signed.signed_by
    if demanded:
        raise _unsigned(source, signed)
    return None


def _unsigned(source: Source, signed: SignedRpm | None) -> Refused:
    own = "covers its headers alone" if signed else "is missing too"
    return Refused(
        "signature-missing",
        f"nothing that is signed vouches for the package: {source.place} has no signed index, and "
        f"a signature of the package's own {own}",
        hint='to accept it nevertheless, give its [[source]] signature = "if-present"',
    )


def verify_rpm(
    package: ByteSource, keyrings: Sequence[str], *, weak: bool = False
) -> SignedRpm | None:
    """The good signature of a trusted key that the package carries; None when it carries none.

    `keyrings` and `weak` as for `verify_clear_signed`.  Reads the whole package where that tells
    that its payload is covered.  Raises `Refused` (`signature-bad`; `signature-unknown` for a key
    that is not in the keyrings; `signature-too-weak` for what rests on SHA-1 or MD5;
    `package-corrupt`) and `CouldNotFindOut` (`keyring-missing`, `gpgv-missing`).
    """
    header = read_header(package)
    of_header, of_all = (_signature(header, names) for names in (_OF_HEADER, _OF_ALL))
    if of_header is None:
        return _check_all(package, header, of_all, keyrings, weak=weak) if of_all else None
    signed = package.read_at(header.start, header.end - header.start)
    certificates = _certificates_for(of_header, keyrings)
    try:
        signed_by = verify_detached(signed, of_header, keyrings, weak=weak)
    except Refused as error:
        raise _not_good(of_header, keyrings, certificates, weak=weak) from error
    if _check_payload(package, header):
        return SignedRpm(signed_by=signed_by, covers_payload=True)
    if of_all is not None:
        return _check_all(package, header, of_all, keyrings, weak=weak)
    return SignedRpm(signed_by=signed_by, covers_payload=False)


def _check_all(
    package: ByteSource, header: RpmHeader, signature: bytes, keyrings: Sequence[str], *, weak: bool
) -> SignedRpm:
    """What a signature over header and payload proves.  Errors as of `verify_rpm`."""
    certificates = _certificates_for(signature, keyrings)
    judged = judge_detached(_blocks(package, header.start), signature, certificates)
    if judged is None or (judged.weakness and not weak):
        raise _not_good(signature, keyrings, certificates, weak=weak)
    return SignedRpm(signed_by=judged.signed_by, covers_payload=True)


def _signature(header: RpmHeader, names: Sequence[str]) -> bytes | None:
    found = next((header.tags[tag] for tag in names if tag in header.tags), None)
    if found is not None and not isinstance(found, bytes):
        raise Refused("signature-bad", "the package's signature cannot be read")
    return found


def _certificates_for(signature: bytes, keyrings: Sequence[str]) -> list[Cert]:
    try:
        return certificates_of(keyrings)
    except CouldNotFindOut as error:
        raise key_missing("the package", signature, keyrings, error.context) from error


def _not_good(
    signature: bytes, keyrings: Sequence[str], certificates: Sequence[Cert], *, weak: bool
) -> Refused:
    """Why a signature is not good, as far as it can be told."""
    weakness = _weakness(signature)
    if weakness is not None and not weak:
        return Refused(
            "signature-too-weak",
            f"the package's signature proves nothing today: it is signed by {weakness}",
            hint='a source of old products needs signature = "if-present" or "skip" in '
            "kernsym.toml",
        )
    signers = signers_of(signature)
    held = [certificate.fingerprint.upper() for certificate in certificates]
    if not any(known.endswith(signer) for signer in signers for known in held):
        return Refused(
            "signature-unknown",
            f"the package is signed by the key {' or '.join(signers) or '?'}, which is not held",
            context=tuple(f"looked in  {name_of(keyring)}" for keyring in keyrings),
            hint=keyring_hint(keyrings),
        )
    return Refused(
        "signature-bad",
        "the package is not what was signed",
        context=tuple(f"signed by  {signer}" for signer in signers),
        hint="download the package afresh; if it stays so, the mirror's copy is broken",
    )


def _weakness(signature: bytes) -> str | None:
    """What makes a signature worthless today; None if nothing does."""
    try:
        sig = Sig.from_bytes(signature)
    except (RuntimeError, ValueError):
        return None
    key, digest = (str(word).rpartition(".")[2] for word in (sig.key_algorithm, sig.hash_algorithm))
    weak = digest.upper().startswith(_WEAK_HASHES) or key == "DSA"
    return f"{key} with {digest}" if weak else None


def _check_payload(package: ByteSource, header: RpmHeader) -> bool:
    """Whether the header tells the payload's digest.  Raises `Refused` when it is another."""
    announced = header.tags.get("payloaddigest")
    algorithm = header.tags.get("payloaddigestalgo", 8)
    name = _HASHES.get(algorithm) if isinstance(algorithm, int) else None
    if not (isinstance(announced, list) and len(announced) == 1 and name):
        return False
    digest = hashlib.new(name)
    for block in _blocks(package, header.end):
        digest.update(block)
    if digest.hexdigest().encode() != announced[0]:
        raise Refused("signature-bad", "the package's files are not those that were signed")
    return True


def _blocks(package: ByteSource, position: int) -> Iterator[bytes]:
    """The package from a position to its end."""
    while block := package.read_at(position, _BLOCK):
        yield block
        position += len(block)
