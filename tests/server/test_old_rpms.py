"""RPMs of before rpm 4.14: no digest of the payload, but a second signature that covers it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernsym.distros import Refused, Source
from kernsym.server.mirrors.rpm_signature import verify_rpm, voucher
from tests.rpm_writer import DSA_ALL, DSA_HEADER, RSA_ALL, RSA_HEADER, rpm
from tests.server.old_signatures import OldKey, old_key
from tests.server.unpacking import Bytes

MEMBERS = [("./usr/lib/debug/lib/modules/2.6.18-8.el5/vmlinux", b"\x7fELF" * 100_000)]


@pytest.fixture(params=["rsa", "dsa"])
def key(request: pytest.FixtureRequest, tmp_path: Path) -> OldKey:
    return old_key(tmp_path, dsa=request.param == "dsa")


@pytest.fixture
def keyring(key: OldKey, tmp_path: Path) -> str:
    path = tmp_path / "RPM-GPG-KEY-old"
    path.write_bytes(key.certificate)
    return str(path)


def package(key: OldKey, digest: str = "sha1", *, header: bool = True, both: bool = True) -> bytes:
    dsa = key.algorithm == 17
    return rpm(
        MEMBERS,
        "gzip",
        payload_digest=False,
        sign=lambda data: (
            {DSA_HEADER if dsa else RSA_HEADER: key.sign(data, digest)} if header else {}
        ),
        sign_all=lambda data: {DSA_ALL if dsa else RSA_ALL: key.sign(data, digest)} if both else {},
    )


@pytest.mark.parametrize("header", [True, False], ids=["both", "all alone"])
def test_both_signatures_together_cover_the_payload(
    key: OldKey, keyring: str, header: bool
) -> None:
    whole = package(key, header=header)
    checked = verify_rpm(Bytes(whole), [keyring], weak=True)
    assert checked is not None and checked.covers_payload
    assert checked.signed_by.startswith(f"{key.fingerprint} (") and "SHA-1" in checked.signed_by
    for wrong in (whole[:-1], whole + b"\0", whole[:-50] + bytes([whole[-50] ^ 1]) + whole[-49:]):
        with pytest.raises(Refused) as error:
            verify_rpm(Bytes(wrong), [keyring], weak=True)
        assert error.value.code == "signature-bad"
    with pytest.raises(Refused) as error:
        verify_rpm(Bytes(whole), [keyring])
    assert error.value.code == "signature-too-weak"


def test_a_signature_of_the_headers_alone_is_not_enough_where_one_is_demanded(
    key: OldKey, keyring: str
) -> None:
    source = Source(distro="rhel", kind="directory", url="file:///x", signed_by=(keyring,))
    with pytest.raises(Refused, match="headers alone") as error:
        voucher(Bytes(package(key, both=False)), source, weak=True)
    assert error.value.code == "signature-missing"
    assert voucher(Bytes(package(key)), source, weak=True) is not None


def test_sha256_in_the_old_form_is_not_weak(tmp_path: Path) -> None:
    """As packages of RHEL 6 and 7 are signed."""
    key = old_key(tmp_path)
    keyring = tmp_path / "key.gpg"
    keyring.write_bytes(key.certificate)
    checked = verify_rpm(Bytes(package(key, "sha256")), [str(keyring)])
    assert checked is not None and checked.covers_payload
    assert checked.signed_by == key.fingerprint
