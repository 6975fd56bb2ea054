"""Signatures of RPMs: those that rpmsign made with gpg, and what is done to them on the way."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pysequoia import SignatureMode, Tsk, sign

from kernsym.distros import CouldNotFindOut, KernsymError, Refused, Source
from kernsym.server.mirrors.rpm_signature import verify_rpm, voucher
from kernsym.server.unpack.packages.rpm_header import read_header
from tests.rpm_writer import RSA_HEADER, Value, rpm
from tests.server.unpacking import Bytes

RECORDED = Path(__file__).parent / "signed_rpms"
KEYS = str(RECORDED / "keys.asc")
SIGNED = (RECORDED / "rsa-sha256.rpm").read_bytes()
FINGERPRINT = "3D73EEC911FC4EE7D1DA970C16BC73C6BBE5E7EF"


def test_what_rpmsign_signed() -> None:
    checked = verify_rpm(Bytes(SIGNED), [KEYS])
    assert checked is not None
    assert (checked.signed_by, checked.covers_payload) == (FINGERPRINT, True)


def source(keyring: str = KEYS, signature: str = "if-present") -> Source:
    return Source(
        distro="rhel",
        kind="rpm-md",
        url="http://m.example",
        signed_by=(keyring,),
        signature=signature,
    )


def test_who_vouches() -> None:
    assert voucher(Bytes(SIGNED), source()) == FINGERPRINT
    assert voucher(Bytes(SIGNED), source(signature="skip")) is None
    assert voucher(Bytes(SIGNED), source("/no/such/keyring")) is None
    assert voucher(Bytes(rpm([("./a", b"a")])), source()) is None
    assert voucher(Bytes(b"!<arch>\n"), source()) is None
    assert voucher(Bytes((RECORDED / "rsa-sha1.rpm").read_bytes()), source()) is None


def test_nobody_vouches_for_what_was_changed() -> None:
    with pytest.raises(Refused) as error:
        voucher(Bytes(SIGNED[:-1]), source())
    assert error.value.code == "signature-bad"


def test_every_part_is_covered() -> None:
    """A changed byte in the main header or the payload is noticed, wherever it is."""
    start = read_header(Bytes(SIGNED)).start
    for at in range(start, len(SIGNED), 29):
        changed = SIGNED[:at] + bytes([SIGNED[at] ^ 1]) + SIGNED[at + 1 :]
        with pytest.raises(Refused) as error:
            verify_rpm(Bytes(changed), [KEYS])
        assert error.value.code in ("signature-bad", "package-corrupt"), at


def test_a_payload_that_is_cut_or_longer() -> None:
    for changed in (SIGNED[:-1], SIGNED + b"\0"):
        with pytest.raises(Refused) as error:
            verify_rpm(Bytes(changed), [KEYS])
        assert error.value.code == "signature-bad"


@pytest.mark.parametrize("name", ["rsa-sha1", "dsa-sha1"])
def test_what_rests_on_sha1_proves_nothing(name: str) -> None:
    with pytest.raises(Refused, match="SHA1") as error:
        verify_rpm(Bytes((RECORDED / f"{name}.rpm").read_bytes()), [KEYS])
    assert error.value.code == "signature-too-weak"


def test_the_key_of_somebody_else(tmp_path: Path) -> None:
    other = tmp_path / "other.asc"
    other.write_text(str(Tsk.generate("Somebody else <x@example.com>").extract_certificate()))
    with pytest.raises(Refused) as error:
        verify_rpm(Bytes(SIGNED), [str(other)])
    assert error.value.code == "signature-unknown"
    assert FINGERPRINT in error.value.message and str(other) in (error.value.hint or "")
    assert str(other) in " ".join(error.value.context)
    assert voucher(Bytes(SIGNED), source(str(other))) is None


def test_no_key_is_another_thing_than_a_wrong_signature(tmp_path: Path) -> None:
    """It says which key is missing and where it is looked for."""
    place = str(tmp_path / "none.asc")
    with pytest.raises(CouldNotFindOut) as error:
        verify_rpm(Bytes(SIGNED), [place])
    assert error.value.code == "keyring-missing" and FINGERPRINT in error.value.message
    assert place in error.value.context[0] and place in (error.value.hint or "")


@pytest.mark.parametrize("name", ["rsa-sha1", "dsa-sha1"])
def test_where_the_distribution_allows_it_sha1_is_believed_and_called_weak(name: str) -> None:
    package = (RECORDED / f"{name}.rpm").read_bytes()
    checked = verify_rpm(Bytes(package), [KEYS], weak=True)
    assert checked is not None and checked.covers_payload
    algorithm = name[:3].upper()
    assert re.fullmatch(rf"[0-9A-F]{{40}} \({algorithm} with SHA-1, weak\)", checked.signed_by)
    changed = package[:-200] + bytes([package[-200] ^ 1]) + package[-199:]
    for wrong in (changed, package[:-1]):
        with pytest.raises(Refused) as error:
            verify_rpm(Bytes(wrong), [KEYS], weak=True)
        assert error.value.code == "signature-bad"


def test_where_gpgv_is_not_installed_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    package = Bytes((RECORDED / "dsa-sha1.rpm").read_bytes())
    with pytest.raises(CouldNotFindOut) as error:
        verify_rpm(package, [KEYS], weak=True)
    assert error.value.code == "gpgv-missing"
    assert voucher(package, source(), weak=True) is None


@pytest.mark.parametrize("policy", ["require", "if-present", "skip"])
def test_what_a_source_demands(policy: str) -> None:
    """Of an unsigned .rpm, of a .deb, and of one with a key that is not held."""
    unknown = str(Tsk.generate("Somebody else <x@example.com>").extract_certificate())
    cases = [
        (rpm([("./a", b"a")]), KEYS, "signature-missing"),
        (b"!<arch>\ndebian-binary", KEYS, "signature-missing"),
        (SIGNED, unknown, "signature-unknown"),
        (SIGNED, "/no/such/keyring", "keyring-missing"),
        ((RECORDED / "dsa-sha1.rpm").read_bytes(), KEYS, "signature-too-weak"),
    ]
    for package, keyring, code in cases:
        if policy == "require":
            with pytest.raises(KernsymError) as error:
                voucher(Bytes(package), source(keyring, policy))
            assert error.value.code == code
        else:
            assert voucher(Bytes(package), source(keyring, policy)) is None
    assert (voucher(Bytes(SIGNED), source(KEYS, policy)) is None) is (policy == "skip")


def test_an_unsigned_package_carries_none() -> None:
    assert verify_rpm(Bytes(rpm([("./a", b"a")])), [KEYS]) is None


def test_a_signature_of_the_headers_alone(tmp_path: Path) -> None:
    """As before rpm 4.14: the payload is not covered, and that is said."""
    key = Tsk.generate("Old <old@example.com>")
    keyring = tmp_path / "old.asc"
    keyring.write_text(str(key.extract_certificate()))

    def signed(header: bytes) -> dict[int, Value]:
        return {RSA_HEADER: sign(key.signer(), header, mode=SignatureMode.DETACHED, armor=False)}

    package = rpm([("./a", b"a")], sign=signed, payload_digest=False)
    checked = verify_rpm(Bytes(package), [str(keyring)])
    assert checked is not None and not checked.covers_payload
    covered = verify_rpm(Bytes(rpm([("./a", b"a")], sign=signed)), [str(keyring)])
    assert covered is not None and covered.covers_payload
