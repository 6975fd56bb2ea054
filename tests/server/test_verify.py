"""Which vmlinux is accepted for which dump, and how a vmlinux says what it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernsym.distros import Fingerprint, Kernel, KernsymError, Refused
from kernsym.server.binaries.verify import VmlinuxIdentity, check, read_identity
from tests import elf_writer
from tests.elf_assembler import assemble
from tests.elf_writer import BANNER, BUILD_ID

RELEASE = "6.1.0-18-amd64"
VERSION = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1 (2024-02-01)"
OTHER_BUILD_ID = BUILD_ID[::-1]
THIS = VmlinuxIdentity(banner=BANNER, build_id=BUILD_ID)
WITHOUT_BUILD_ID = VmlinuxIdentity(banner=BANNER, build_id=None)


@pytest.mark.parametrize(
    ("fingerprint", "identity", "by"),
    [
        (Fingerprint(banner=BANNER), THIS, ("banner",)),
        (Fingerprint(build_id=BUILD_ID), THIS, ("build-id",)),
        (Fingerprint(banner=BANNER, build_id=BUILD_ID), THIS, ("banner", "build-id")),
        (Fingerprint(banner=BANNER, build_id=BUILD_ID), WITHOUT_BUILD_ID, ("banner",)),
        (Fingerprint(release=RELEASE, version=VERSION), THIS, ("utsname",)),
        (
            Fingerprint(release=RELEASE, version=VERSION, build_id=BUILD_ID),
            WITHOUT_BUILD_ID,
            ("utsname",),
        ),
    ],
)
def test_accepts(fingerprint: Fingerprint, identity: VmlinuxIdentity, by: tuple[str, ...]) -> None:
    verification = check(fingerprint, identity)
    assert verification.by == by
    assert (verification.banner, verification.build_id) == (identity.banner, identity.build_id)


@pytest.mark.parametrize(
    ("fingerprint", "differs"),
    [
        (Fingerprint(banner=BANNER.replace("6.1.76-1", "6.1.76-2")), "banner differs"),
        (Fingerprint(banner=BANNER.replace(" #1", "  #1")), "banner differs"),
        (Fingerprint(banner=BANNER + " "), "banner differs"),
        (Fingerprint(banner=BANNER[:80]), "banner differs"),
        (Fingerprint(build_id=OTHER_BUILD_ID), "build-id differs"),
        (Fingerprint(banner=BANNER, build_id=OTHER_BUILD_ID), "build-id differs"),
        (Fingerprint(banner="Linux version 1", build_id=BUILD_ID), "banner differs"),
        (
            Fingerprint(banner="Linux version 1", build_id=OTHER_BUILD_ID),
            "banner and build-id differ",
        ),
        (Fingerprint(release="6.1.0-18-cloud-amd64", version=VERSION), "utsname differs"),
        (Fingerprint(release="6.1.0-18", version=VERSION), "utsname differs"),
        (Fingerprint(release=RELEASE, version=VERSION[:-1]), "utsname differs"),
        (Fingerprint(release=RELEASE, version="(2024-02-01)"), "utsname differs"),
    ],
)
def test_refuses_another_kernel(fingerprint: Fingerprint, differs: str) -> None:
    with pytest.raises(Refused) as refused:
        check(fingerprint, THIS)
    assert refused.value.code == "vmlinux-mismatch"
    assert refused.value.message.endswith(differs)
    shown = "\n".join(refused.value.context)
    for side in (fingerprint.banner, fingerprint.build_id, fingerprint.version):
        assert side is None or side in shown


@pytest.mark.parametrize(
    "fingerprint",
    [
        Fingerprint(),
        Fingerprint(release=RELEASE, machine="x86_64"),
        Fingerprint(version=VERSION),
    ],
)
def test_refuses_without_evidence(fingerprint: Fingerprint) -> None:
    with pytest.raises(Refused) as refused:
        check(fingerprint, THIS)
    assert refused.value.code == "evidence-missing"


def test_a_vmlinux_without_build_id_does_not_answer_for_one() -> None:
    with pytest.raises(Refused, match="nothing that a vmlinux could be checked against"):
        check(Fingerprint(build_id=BUILD_ID), WITHOUT_BUILD_ID)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("build_id", [BUILD_ID, None])
def test_reads_identity(tmp_path: Path, order: str, build_id: str | None) -> None:
    file = tmp_path / "vmlinux"
    file.write_bytes(elf_writer.vmlinux(build_id=build_id, order=order))
    assert read_identity(file) == VmlinuxIdentity(banner=BANNER, build_id=build_id)


def test_keeps_blanks_of_the_banner(tmp_path: Path) -> None:
    banner = "Linux version 2.6.32 (a@b) (gcc version 4.4.7 (Red Hat) ) #1 SMP Tue Nov  4 2014 "
    file = tmp_path / "vmlinux"
    file.write_bytes(elf_writer.vmlinux(banner))
    assert read_identity(file).banner == banner


@pytest.mark.parametrize(
    "rodata",
    [
        b"",
        b"Linux version %s (%s)\n\0",
        b"Linux version 6.1 (a@b) (gcc) # SMP\n\0",
        BANNER.encode(),
        b"\0".join((BANNER.encode() + b"\n", BANNER.replace("#1", "#2").encode() + b"\n", b"")),
    ],
    ids=["empty", "format", "no number", "cut", "two"],
)
def test_refuses_a_vmlinux_that_does_not_say_one_banner(tmp_path: Path, rodata: bytes) -> None:
    file = tmp_path / "vmlinux"
    file.write_bytes(elf_writer.elf([(".rodata", elf_writer.PROGBITS, rodata)]))
    with pytest.raises(Refused) as refused:
        read_identity(file)
    assert refused.value.code == "vmlinux-without-banner"


def test_refuses_what_is_no_elf_file(tmp_path: Path) -> None:
    file = tmp_path / "vmlinux"
    file.write_bytes(b"\x7fELF" + bytes(range(200)))
    with pytest.raises(Refused) as refused:
        read_identity(file)
    assert refused.value.code == "elf-unreadable"


@settings(max_examples=400, deadline=2000)
@given(
    changes=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(1, 255)), max_size=4),
    in_header=st.lists(st.tuples(st.integers(4, 63), st.integers(0, 255)), max_size=4),
    cut=st.integers(0, 1 << 20) | st.none(),
)
def test_a_mutated_vmlinux_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory,
    changes: list[tuple[int, int]],
    in_header: list[tuple[int, int]],
    cut: int | None,
) -> None:
    content = bytearray(elf_writer.vmlinux())
    for position, change in changes:
        content[position % len(content)] ^= change
    for position, value in in_header:
        content[position] = value
    if cut is not None:
        del content[cut % len(content) :]
    file = tmp_path_factory.mktemp("elf") / "vmlinux"
    file.write_bytes(content)
    try:
        assert "Linux version" in read_identity(file).banner
    except KernsymError as error:
        assert error.code in ("elf-unreadable", "vmlinux-without-banner")


def test_a_vendor_known_for_another_build_id_is_judged_by_the_banner() -> None:
    """Oracle's UEK5 packages publish a vmlinux whose build ID is not the running kernel's."""
    banner = BANNER.replace("6.1.0-1-amd64", "4.14.35-2047.500.9.el7uek.x86_64")
    uek = Kernel(
        distro="oracle",
        release="7",
        arch="x86_64",
        uname="4.14.35-2047.500.9.el7uek.x86_64",
        flavour="uek",
        version="4.14.35-2047.500.9.el7uek",
    )
    shown = Fingerprint(banner=banner, build_id="11" * 20)
    identity = VmlinuxIdentity(banner=banner, build_id="22" * 20)
    assert check(shown, identity, kernel=uek).by == ("banner",)
    with pytest.raises(Refused):
        check(shown, identity)
    with pytest.raises(Refused):
        check(Fingerprint(build_id="11" * 20), identity, kernel=uek)


@pytest.mark.parametrize(
    ("version", "accepted"), [("6.1.76-1", True), ("6.1.76-2", False), ("6.1.7", False)]
)
def test_a_package_is_judged_by_the_kernel_that_it_is_named_after(
    version: str, accepted: bool
) -> None:
    kernel = Kernel(
        distro="debian", release="12", arch="x86_64", uname=RELEASE, flavour="amd64",
        version=version,
    )  # fmt: skip
    named = Fingerprint(package=f"linux-image-{RELEASE}-dbg_{version}_amd64.deb")
    if accepted:
        assert check(named, THIS, kernel=kernel).by == ("package",)
        assert check(Fingerprint(banner=BANNER, package=named.package), THIS).by == ("banner",)
    else:
        with pytest.raises(Refused) as error:
            check(named, THIS, kernel=kernel)
        assert error.value.code == "vmlinux-mismatch"
        assert "6.1.76-1" in " ".join(error.value.context)


PLACES = {"init_uts_ns": 0x1BFAE00, "prb": 0x1A64400, "log_buf": 0x1AD4358}


def vmcoreinfo(start: int, **others: int) -> str:
    lines = [f"SYMBOL({name})={start + place:x}" for name, place in {**PLACES, **others}.items()]
    return "\n".join(
        ["OSRELEASE=4.4.73-7-default", f"SYMBOL(_stext)={start:x}", *lines, "SYMBOL(mem_section)=0"]
    )


WITH_SYMBOLS = VmlinuxIdentity(banner=BANNER, build_id=None, symbols=PLACES)


@pytest.mark.parametrize("start", [0xFFFFFFFF81000000, 0xFFFFFFFFB5400000])
def test_without_a_build_id_the_places_of_symbols_count(start: int) -> None:
    shown = Fingerprint(banner=BANNER, vmcoreinfo=vmcoreinfo(start))
    assert check(shown, WITH_SYMBOLS).by == ("banner", "symbols")
    rebuilt = Fingerprint(banner=BANNER, vmcoreinfo=vmcoreinfo(start, prb=0x1A64440))
    with pytest.raises(Refused) as refused:
        check(rebuilt, WITH_SYMBOLS)
    assert refused.value.message.endswith("symbols differ")
    assert any("prb+0x1a64440" in line for line in refused.value.context)


@pytest.mark.parametrize(
    ("fingerprint", "identity", "by"),
    [
        (Fingerprint(banner=BANNER, vmcoreinfo="SYMBOL(_stext)=1000"), WITH_SYMBOLS, ("banner",)),
        (Fingerprint(banner=BANNER, vmcoreinfo=vmcoreinfo(1)), WITHOUT_BUILD_ID, ("banner",)),
        (
            Fingerprint(banner=BANNER, build_id=BUILD_ID, vmcoreinfo=vmcoreinfo(1, prb=2)),
            VmlinuxIdentity(banner=BANNER, build_id=BUILD_ID, symbols=PLACES),
            ("banner", "build-id"),
        ),
    ],
    ids=["too few", "no symbol table", "build IDs say more"],
)
def test_symbols_are_compared_where_they_can_tell_something(
    fingerprint: Fingerprint, identity: VmlinuxIdentity, by: tuple[str, ...]
) -> None:
    assert check(fingerprint, identity).by == by


def test_symbols_alone_prove_no_candidate() -> None:
    shown = Fingerprint(release=RELEASE, version=VERSION, vmcoreinfo=vmcoreinfo(0x1000))
    assert check(shown, WITH_SYMBOLS).by == ("utsname", "symbols")
    with pytest.raises(Refused) as refused:
        check(shown, WITH_SYMBOLS, by_name=False)
    assert refused.value.code == "evidence-missing"


def test_the_symbols_of_a_vmlinux_are_read(tmp_path: Path) -> None:
    gaps = {"_stext": 32, "init_uts_ns": 16, "print_prb": 8, "prb": 8, "log_buf": 8}
    identity = read_identity(assemble(tmp_path / "k", BANNER, gaps=gaps))
    assert identity.symbols == {"init_uts_ns": 32, "prb": 56, "log_buf": 64}
