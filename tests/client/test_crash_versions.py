"""What is known of crash's versions and builds."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernsym.client.debuggers.crash_versions import (
    CrashProgram,
    missing_compressions,
    numbers,
    refuse_if_unfit,
    unmet_needs,
    warning_about,
)
from kernsym.distros import Unusable


def crash(*version: int, target: str = "X86_64", lacks: tuple[str, ...] = ()) -> CrashProgram:
    return CrashProgram(
        path=Path("/usr/bin/crash"), version=version, target=target, lacks=frozenset(lacks)
    )


@pytest.mark.parametrize(
    ("program", "kernel", "newest_needed"),
    [
        (crash(8, 0, 2), "6.1.192-2", (8, 0, 4)),  # tasks are missing
        (crash(8, 0, 2), "6.1.106-3", (8, 0, 3)),  # only the maple tree
        (crash(8, 0, 3), "6.1.106-3", None),
        (crash(8, 0, 6), "6.1.192-2", None),
        (crash(8, 0, 3), "6.2.1-1", None),
        (crash(8, 0, 3), "6.5.3-1", (8, 0, 4)),
        (crash(8, 0, 6), "6.12.48-1", None),
        (crash(8, 0, 6), "6.16.3-1", (9, 0, 1)),
        (crash(7, 2, 3), "4.18.0-553.el8_10", None),
        (crash(7, 2, 3), "5.4.0", (7, 2, 5)),
        (crash(7, 3, 2), "5.14.0-427.13.1.el9_4", (8, 0, 0)),
        (crash(), "6.16.3-1", None),
        (crash(7, 0, 0), "unheard-of", None),
    ],
)
def test_crash_that_is_too_old_for_a_kernel(
    program: CrashProgram, kernel: str, newest_needed: tuple[int, ...] | None
) -> None:
    unmet = unmet_needs(program, kernel)
    assert max((need.crash for need in unmet), default=None) == newest_needed
    assert bool(warning_about(program, kernel)) is (newest_needed is not None)


def test_the_warning_says_what_will_be_wrong_and_what_helps() -> None:
    wrong, hint = warning_about(crash(8, 0, 2), "6.1.192-2")
    assert "crash 8.0.2" in wrong and "8.0.4 or newer" in wrong
    assert "`ps`" in wrong and "struct pid" in wrong
    assert "--crash" in hint


@pytest.mark.parametrize(
    ("program", "arch", "compression", "code"),
    [
        (crash(8), "x86_64", "zlib", None),
        (crash(8), None, "", None),
        (crash(8), "m68k", "", None),  # a machine that we have no word for: crash decides
        (crash(8, target=""), "aarch64", "", None),
        (crash(8), "aarch64", "", "crash-machine"),
        (crash(8, target="ARM64"), "aarch64", "zstd", None),
        (crash(8, lacks=("zstd",)), "x86_64", "zstd", "crash-compression"),
        (crash(8, lacks=("zstd",)), "x86_64", "lzo", None),
    ],
)
def test_crash_that_cannot_open_a_dump(
    program: CrashProgram, arch: str | None, compression: str, code: str | None
) -> None:
    if code is None:
        refuse_if_unfit(program, arch, compression)
        return
    with pytest.raises(Unusable) as caught:
        refuse_if_unfit(program, arch, compression)
    assert caught.value.code == code and caught.value.hint


@pytest.mark.parametrize(
    ("content", "lacks"),
    [
        (b"#!/bin/sh\nexec crash", set()),
        (b"\x7fELF..", {"lzo", "snappy", "zstd"}),
        # The help text names the libraries in every build.
        (b"\x7fELF use the LZO, snappy or zstd compression libraries", {"lzo", "snappy", "zstd"}),
        (b"\x7fELF\0lzo1x_decompress_safe\0snappy_uncompress\0ZSTD_decompressDCtx\0", set()),
        (b"\x7fELF LZO real-time data compression library, N6snappy6SourceE", {"zstd"}),
    ],
)
def test_compressions_that_a_build_lacks(content: bytes, lacks: set[str]) -> None:
    assert missing_compressions(content) == lacks


@pytest.mark.parametrize(
    ("text", "expected"),
    [("8.0.2", (8, 0, 2)), ("8.0.6++", (8, 0, 6)), ("7.3.2-4.el9", (7, 3, 2)), ("x", ()), ("", ())],
)
def test_numbers(text: str, expected: tuple[int, ...]) -> None:
    assert numbers(text) == expected
