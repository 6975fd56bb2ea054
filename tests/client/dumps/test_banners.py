"""Which of the banners in memory is the kernel's own."""

from __future__ import annotations

import pytest

from kernsym.client.dumps.banners import LONGEST, Sighting, choose, sighting

GOOD = b"Linux version 6.1.0-18-amd64 (a@b) (gcc-12 (Debian 12) 12) #1 SMP Debian 6.1.76-1"
TEXT = GOOD.decode()
OTHER = TEXT.replace("6.1.0-18", "6.1.0-17")


def seen(data: bytes, address: int = 0) -> Sighting:
    return sighting(address, data.ljust(LONGEST, b"\0"))


@pytest.mark.parametrize(
    ("data", "text", "closed", "fault"),
    [
        (GOOD + b"\n\0", TEXT, True, ""),
        (GOOD + b"\0", TEXT, False, ""),
        (GOOD + b"\n[    0.000000] Command line:", TEXT, False, ""),
        (GOOD + b"\xff\xfe", TEXT, False, ""),
        (b"Linux version %s (%s)\n\0", "Linux version %s (%s)", True, "a format string"),
        (b"Linux version not found\n\0", "Linux version not found", True, "no release"),
        (b"Linux version 6.1.0 (a@b) (gcc) # SMP\n\0", None, True, "no build number"),
        (b"Linux version 6.1.0 #1 SMP\n\0", None, True, "builder or compiler"),
        (b"Linux version 6.1.0" + b"x" * LONGEST, None, False, "no end"),
    ],
)
def test_sighting(data: bytes, text: str | None, closed: bool, fault: str) -> None:
    found = seen(data[:LONGEST])
    assert found.closed is closed
    assert fault in found.fault and bool(found.fault) is bool(fault)
    if text is not None:
        assert found.text == text


CLOSED, LOGGED = seen(GOOD + b"\n\0", 1), seen(GOOD + b"\0", 2)
OTHER_CLOSED = seen(OTHER.encode() + b"\n\0", 3)
RESIDUE = seen(GOOD + b" residue of a longer line\0", 4)
FORMAT = seen(b"Linux version %s (%s)\n\0", 5)
UNNUMBERED = seen(b"Linux version 6.1.0-18-amd64 (a@b) (gcc) # SMP\n\0", 6)


@pytest.mark.parametrize(
    ("sightings", "release", "address"),
    [
        pytest.param([CLOSED], None, 1, id="the only one"),
        pytest.param([FORMAT, UNNUMBERED, RESIDUE, CLOSED], None, 1, id="the first are wrong"),
        pytest.param([RESIDUE, RESIDUE, CLOSED], None, 1, id="shape outranks number"),
        pytest.param([OTHER_CLOSED, CLOSED, CLOSED], None, 1, id="most votes"),
        pytest.param([OTHER_CLOSED, OTHER_CLOSED, CLOSED], "6.1.0-18-amd64", 1, id="release"),
        pytest.param([OTHER_CLOSED], "6.1.0-18-amd64", None, id="only a stranger's"),
        pytest.param([RESIDUE, LOGGED], None, 2, id="log lines: the shared part"),
        pytest.param([FORMAT, UNNUMBERED], None, None, id="nothing right"),
        pytest.param([], None, None, id="nothing"),
    ],
)
def test_choice(sightings: list[Sighting], release: str | None, address: int | None) -> None:
    found = choose(sightings, release)
    assert (found.chosen.address if found.chosen else None) == address
    assert not found.rivals
    told = {text for text, _ in found.rejected}
    assert told == {s.text for s in sightings} - {found.chosen.text if found.chosen else ""}


def test_even_rivals_are_not_guessed() -> None:
    found = choose([CLOSED, OTHER_CLOSED])
    assert found.chosen is None
    assert set(found.rivals) == {TEXT, OTHER}
