"""Signatures of indexes, with keys made here.

`signed/` holds an ed25519 key that expired in 2015 and a file that it signed in 2014, with SHA-512
and with SHA-1 (gpg --faked-system-time): what the index of an archived suite is like.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from pysequoia import SignatureMode, Tsk, sign

from kernsym.distros import CouldNotFindOut, Refused, Source
from kernsym.server.mirrors.signatures import keyrings_of, verify_clear_signed, verify_detached
from tests.server.old_signatures import old_key

RECORDED = Path(__file__).parent / "signed"
BODY = b"Suite: stable\nSHA256:\n- dashed\n"
FIRST, SECOND, STRANGER = (
    Tsk.generate(user_id=f"{name} <{name}@example.org>") for name in ("one", "two", "stranger")
)


def fingerprint(key: Tsk) -> str:
    return key.extract_certificate().fingerprint.upper()


def clear_signed(key: Tsk, body: bytes = BODY) -> bytes:
    return sign(key.signer(), body, mode=SignatureMode.CLEAR)


def detached(key: Tsk, *, armour: bool = True) -> bytes:
    return sign(key.signer(), BODY, mode=SignatureMode.DETACHED, armor=armour)


@pytest.fixture
def keyring(tmp_path: Path) -> str:
    """A binary keyring of two certificates."""
    path = tmp_path / "keyring.gpg"
    path.write_bytes(b"".join(bytes(key.extract_certificate()) for key in (FIRST, SECOND)))
    return str(path)


@pytest.mark.parametrize("key", [FIRST, SECOND], ids=["first", "second"])
def test_a_clear_signed_index_by_either_key_of_a_keyring(keyring: str, key: Tsk) -> None:
    signed = verify_clear_signed(clear_signed(key), [keyring])
    assert signed.signed_by == fingerprint(key)
    assert signed.body.rstrip(b"\n") == BODY.rstrip(b"\n")


def test_only_what_the_signature_covers_is_given_back(keyring: str) -> None:
    wrapped = b"Suite: evil\n" + clear_signed(FIRST) + b"\nSuite: evil\n"
    assert b"evil" not in verify_clear_signed(wrapped, [keyring]).body


def test_a_tampered_body_is_refused(keyring: str) -> None:
    with pytest.raises(Refused) as refused:
        verify_clear_signed(clear_signed(FIRST).replace(b"stable", b"unstab"), [keyring])
    assert refused.value.code == "signature-bad"
    assert "backtrace" not in refused.value.message
    assert any(keyring in line for line in refused.value.context)


def test_a_key_that_is_not_in_the_keyring_is_refused(keyring: str) -> None:
    with pytest.raises(Refused) as refused:
        verify_clear_signed(clear_signed(STRANGER), [keyring])
    assert refused.value.code == "signature-bad"


@pytest.mark.parametrize("body", [b"", b"<html>", BODY])
def test_an_unsigned_index_is_refused(keyring: str, body: bytes) -> None:
    with pytest.raises(Refused) as refused:
        verify_clear_signed(body, [keyring])
    assert refused.value.code == "signature-missing"


def test_a_cut_index_is_refused(keyring: str) -> None:
    whole = clear_signed(FIRST)
    for size in (60, len(whole) // 2, len(whole) - 40):
        with pytest.raises(Refused):
            verify_clear_signed(whole[:size], [keyring])


@pytest.mark.parametrize("armour", [True, False], ids=["armoured", "binary"])
def test_a_detached_signature(keyring: str, armour: bool) -> None:
    assert verify_detached(BODY, detached(SECOND, armour=armour), [keyring]) == fingerprint(SECOND)


def test_any_good_one_of_several_detached_signatures_is_enough(keyring: str) -> None:
    both = detached(STRANGER, armour=False) + detached(FIRST, armour=False)
    assert verify_detached(BODY, both, [keyring]) == fingerprint(FIRST)


@pytest.mark.parametrize(
    ("body", "signature"),
    [
        (BODY + b"!", detached(FIRST)),
        (BODY, detached(STRANGER)),
        (BODY, b""),
        (BODY, b"<html>"),
        (BODY, bytes(FIRST.extract_certificate())),
    ],
    ids=["tampered", "stranger", "empty", "page", "a key"],
)
def test_a_bad_detached_signature_is_refused(keyring: str, body: bytes, signature: bytes) -> None:
    with pytest.raises(Refused) as refused:
        verify_detached(body, signature, [keyring])
    assert refused.value.code == "signature-bad"


def test_an_embedded_key() -> None:
    armoured = str(FIRST.extract_certificate())
    assert verify_clear_signed(clear_signed(FIRST), [armoured]).signed_by == fingerprint(FIRST)


def test_a_key_that_has_expired_since_is_good_for_what_it_signed() -> None:
    keys = [str(RECORDED / "expired-key.asc")]
    signed = verify_clear_signed((RECORDED / "InRelease-2014").read_bytes(), keys)
    assert signed.signed_by == "96ED0431DE36D32269E9C57317969A6A94D9565C"
    assert signed.body.startswith(b"Suite: old\n")


def test_a_signature_over_sha1_is_refused() -> None:
    with pytest.raises(Refused):
        keys = [str(RECORDED / "expired-key.asc")]
        verify_clear_signed((RECORDED / "InRelease-2014-sha1").read_bytes(), keys)


def test_where_the_distribution_allows_it_sha1_is_believed_and_called_weak() -> None:
    keys = [str(RECORDED / "expired-key.asc")]
    text = (RECORDED / "InRelease-2014-sha1").read_bytes()
    signed = verify_clear_signed(b"Suite: evil\n" + text + b"Suite: evil\n", keys, weak=True)
    assert signed.body.startswith(b"Suite: old\n") and b"evil" not in signed.body
    assert signed.signed_by == "96ED0431DE36D32269E9C57317969A6A94D9565C (EdDSA with SHA-1, weak)"
    for wrong in (text.replace(b"old", b"odd"), clear_signed(STRANGER)):
        with pytest.raises(Refused) as refused:
            verify_clear_signed(wrong, keys, weak=True)
        assert refused.value.code == "signature-bad"


@pytest.mark.parametrize("lifetime", [3600, 2 * 86400])
def test_for_gpgv_too_a_key_must_not_have_expired_when_it_signed(
    tmp_path: Path, lifetime: int
) -> None:
    """Both keys have expired long ago; they signed when they were a day old."""
    key = old_key(tmp_path, lifetime=lifetime)
    keyring = tmp_path / "old.gpg"
    keyring.write_bytes(key.certificate)
    if lifetime > 86400:
        assert verify_detached(BODY, key.sign(BODY), [str(keyring)]) == key.fingerprint
    else:
        with pytest.raises(Refused):
            verify_detached(BODY, key.sign(BODY), [str(keyring)])


@pytest.mark.parametrize("digest", ["sha1", "sha256"])
@pytest.mark.parametrize("dsa", [False, True], ids=["rsa", "dsa"])
def test_the_old_form_of_signatures(tmp_path: Path, digest: str, dsa: bool) -> None:
    """Version 3: with RSA and SHA-256 Red Hat's of today, with DSA or SHA-1 those of RHEL 5."""
    key = old_key(tmp_path, dsa=dsa)
    keyring = tmp_path / "old.gpg"
    keyring.write_bytes(key.certificate)
    signature = key.sign(BODY, digest)
    is_weak = dsa or digest == "sha1"
    if is_weak:
        with pytest.raises(Refused):
            verify_detached(BODY, signature, [str(keyring)])
    signer = verify_detached(BODY, signature, [str(keyring)], weak=is_weak)
    assert signer.startswith(key.fingerprint) and signer.endswith("weak)") is is_weak
    with pytest.raises(Refused) as refused:
        verify_detached(BODY + b"!", signature, [str(keyring)], weak=True)
    assert refused.value.code == "signature-bad"
    assert key.fingerprint[-16:] in refused.value.context[0]


def test_a_missing_keyring_says_how_to_get_it(tmp_path: Path) -> None:
    debian = Source(distro="debian", kind="apt", url="http://m.example/debian", suite="bookworm")
    (keyring,) = keyrings_of(debian)
    with pytest.raises(CouldNotFindOut) as unsure:
        verify_clear_signed(clear_signed(FIRST), [keyring + ".not-here", str(tmp_path)])
    assert unsure.value.code == "keyring-missing"
    assert "No such file" in unsure.value.context[0]


def test_the_hint_names_the_package_of_the_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_bytes(path: Path) -> bytes:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    debian = Source(distro="debian", kind="apt", url="http://m.example/debian", suite="bookworm")
    with pytest.raises(CouldNotFindOut) as unsure:
        verify_clear_signed(clear_signed(FIRST), keyrings_of(debian))
    assert unsure.value.hint is not None
    assert "apt install debian-archive-keyring" in unsure.value.hint


def test_a_keyring_that_is_not_there_does_not_hide_another(keyring: str, tmp_path: Path) -> None:
    keybox = tmp_path / "pubring.kbx"
    keybox.write_bytes(b"\0\0\0\x20\1\1\0\2KBXf" + b"\0" * 20)
    keyrings = [str(tmp_path / "no.gpg"), str(keybox), keyring]
    assert verify_clear_signed(clear_signed(FIRST), keyrings).signed_by == fingerprint(FIRST)
    with pytest.raises(CouldNotFindOut) as unsure:
        verify_clear_signed(clear_signed(FIRST), keyrings[:2])
    assert "keybox" in unsure.value.context[1]


def test_the_source_s_own_keyring_goes_first() -> None:
    source = Source(
        distro="debian", kind="apt", url="http://m.example", signed_by=("/etc/our.gpg",)
    )
    assert keyrings_of(source) == ("/etc/our.gpg",)
