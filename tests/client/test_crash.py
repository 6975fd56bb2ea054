"""crash's arguments and its file of first commands, case by case."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kernsym.client.debuggers.crash_command import (
    Commands,
    CrashCommand,
    Symbols,
    crash_command,
    first_commands,
    has_modules,
    is_plain,
    knock,
    listing,
    split_input_option,
)
from kernsym.client.dumps import DumpFacts
from kernsym.distros import Fingerprint, catalog, identify

CRASH = Path("/usr/bin/crash")
FOLDER = Path("/run/user/1000/kernsym-1")
VMLINUX = Path("/store/root/vmlinux-6.1.0-18-amd64")
FACTS = DumpFacts(
    path="/dumps/vmcore",
    format="elf",
    compression="",
    size=1,
    memory=1,
    fingerprint=Fingerprint(arch="x86_64", release="6.1.0-18-amd64"),
)
ARM64_VMCOREINFO = (
    "OSRELEASE=6.1.0-18-arm64\nNUMBER(kimage_voffset)=0xffff800007e00000\n"
    "NUMBER(PHYS_OFFSET)=0x40000000\nNUMBER(VA_BITS)=48\n"
)


def command(
    facts: DumpFacts = FACTS,
    symbols: Symbols | None = None,
    *,
    namelists: tuple[Path, ...] = (VMLINUX,),
    arguments: tuple[str, ...] = (),
    extra_input: tuple[str, ...] = (),
) -> CrashCommand:
    commands = first_commands(
        symbols or Symbols(), FOLDER, arguments=arguments, extra_input=extra_input
    )
    return crash_command(CRASH, facts, namelists, FOLDER, commands, arguments=arguments)


def input_lines(made: CrashCommand) -> list[str]:
    return dict(made.files)["commands"].splitlines()


def raw(kaslr_offset: int | None = None, phys_base: int | None = None) -> DumpFacts:
    return replace(
        FACTS,
        path="/dumps/ram",
        format="raw",
        needs_address=True,
        kaslr_offset=kaslr_offset,
        phys_base=phys_base,
    )


@pytest.mark.parametrize(
    ("facts", "options", "dump"),
    [
        # Notes, or VMware's registers, tell crash where the kernel is.
        (replace(FACTS, kaslr_offset=0x1A200000, phys_base=-268435456), [], "/dumps/vmcore"),
        (replace(FACTS, path="/dumps/a.vmss", format="vmss", phys_base=1), [], "/dumps/a.vmss"),
        (replace(FACTS, format="kdump-flattened", kaslr_offset=4096), [], "/dumps/vmcore"),
        (raw(), [], "/dumps/ram@0x0"),
        (raw(kaslr_offset=0, phys_base=0), [], "/dumps/ram@0x0"),
        (
            raw(kaslr_offset=0x1A200000, phys_base=-268435456),
            ["--kaslr=0x1a200000", "-m", "phys_base=0xfffffffff0000000"],
            "/dumps/ram@0x0",
        ),
        (
            raw(kaslr_offset=0x2C200000, phys_base=3848273920),
            ["--kaslr=0x2c200000", "-m", "phys_base=0xe5600000"],
            "/dumps/ram@0x0",
        ),
        # RHEL 5: the value comes from its distribution, crash wants hex.
        (raw(phys_base=0x200000), ["-m", "phys_base=0x200000"], "/dumps/ram@0x0"),
        (
            replace(
                raw(kaslr_offset=0x10000),
                fingerprint=Fingerprint(arch="aarch64", vmcoreinfo=ARM64_VMCOREINFO),
            ),
            [
                "--kaslr=0x10000",
                *("-m", "phys_offset=0x40000000", "-m", "kimage_voffset=0xffff800007e00000"),
            ],
            "/dumps/ram@0x0",
        ),
        (
            replace(FACTS, fingerprint=Fingerprint(arch="aarch64", vmcoreinfo=ARM64_VMCOREINFO)),
            [],
            "/dumps/vmcore",
        ),
    ],
)
def test_options_by_kind_of_dump(facts: DumpFacts, options: list[str], dump: str) -> None:
    made = command(facts)
    start = [str(CRASH), "-s", "-i", f"{FOLDER}/commands"]
    assert list(made.argv) == [*start, *options, str(VMLINUX), dump]
    assert made.links == ()


def test_a_pair_of_namelists_and_the_users_own_arguments() -> None:
    pair = (Path("/s/boot/vmlinux-5.14"), Path("/s/usr/lib/debug/boot/vmlinux-5.14.debug"))
    made = command(namelists=pair, arguments=("--no_kmem_cache", "-x"))
    assert made.argv[4:] == ("--no_kmem_cache", "-x", *map(str, pair), "/dumps/vmcore")


def test_a_relative_dump_is_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(replace(FACTS, path="-vmcore")).argv[-1] == f"{tmp_path}/-vmcore"


def test_exactly_the_modules_given_are_loaded_quietly() -> None:
    modules = (("dm_mod", Path("/s/dm-mod.ko")), ("xfs", Path("/s/xfs.ko.debug")))
    made = command(symbols=Symbols(modules=modules))
    assert input_lines(made) == [
        "mod -s dm_mod /s/dm-mod.ko > /dev/null",
        "mod -s xfs /s/xfs.ko.debug > /dev/null",
    ]


def test_a_name_that_no_module_has_never_reaches_crash() -> None:
    modules = (("x; !touch /tmp/x", Path("/s/x.ko")), ("a|b", Path("/s/b.ko")))
    assert input_lines(command(symbols=Symbols(modules=modules))) == []


@pytest.mark.parametrize(
    ("prefix", "lines"),
    [
        ("/usr/src/debug/k/linux-5.14", ["set substitute-path /usr/src/debug/k/linux-5.14 /s/x"]),
        ("/build/with blank", []),  # gdb would take it for two words
        ("", []),
    ],
)
def test_absolute_names_of_sources_are_mapped(prefix: str, lines: list[str]) -> None:
    symbols = Symbols(sources=Path("/s/x"), source_prefix=prefix)
    script = dict(command(symbols=symbols).files)["sources.gdb"]
    assert script.splitlines() == [*lines, "define hook-list", "directory /s/x", "end"]


def test_sources_are_looked_for_anew_by_each_list() -> None:
    made = command(symbols=Symbols(sources=Path("/s/linux-source-6.1")))
    assert input_lines(made) == [f"gdb source {FOLDER}/sources.gdb"]
    script = dict(made.files)["sources.gdb"]
    assert script == "define hook-list\ndirectory /s/linux-source-6.1\nend\n"


def test_crash_waits_where_its_commands_are_not_known_yet() -> None:
    heard = f"echo 1<> {FOLDER}/knock && read answered < {FOLDER}/ready"
    wait = f"!kill -0 77 && {heard} || kill -9 $PPID"
    assert knock(FOLDER, 77) == Commands(lines=(wait,), knocks=True)
    asked = (f"mod > {FOLDER}/listed", f"mod -t > {FOLDER}/tainted")
    assert listing(FOLDER, 77) == Commands(lines=(*asked, wait), knocks=True)


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        ((), ["gdb source", "mod -s xfs"]),
        (("--no_modules",), ["gdb source"]),
        (("--minimal",), []),
    ],
)
def test_commands_that_a_reduced_crash_does_not_know_are_left_out(
    arguments: tuple[str, ...], kept: list[str]
) -> None:
    symbols = Symbols(modules=(("xfs", Path("/s/xfs.ko")),), sources=Path("/s/linux"))
    made = command(symbols=symbols, arguments=arguments, extra_input=("bt", "q"))
    *ours, first, second = input_lines(made)
    assert [line[: len(start)] for line, start in zip(ours, kept, strict=True)] == kept
    assert (first, second) == ("bt", "q")
    assert has_modules(arguments) is (arguments == ())


def test_what_crash_cannot_spell_is_reached_by_a_link() -> None:
    """Its commands have no quoting, gdb's directories end at a colon, `@` begins an address."""
    odd = Path("/home/a b/it's")
    symbols = Symbols(
        modules=(("loop", odd / "loop.ko"),),
        sources=Path("/s/1:6.1/linux"),
    )
    facts = replace(FACTS, path="/home/me@work/a.vmsn", format="vmsn")
    made = command(facts, symbols, namelists=(Path("/home/me@work/vmlinux"),))
    assert made.argv[-2:] == (f"{FOLDER}/links/vmlinux", f"{FOLDER}/links/dump.vmsn")
    assert input_lines(made)[-1] == f"mod -s loop {FOLDER}/links/loop.ko > /dev/null"
    assert f"directory {FOLDER}/links/sources" in dict(made.files)["sources.gdb"]
    assert dict(made.links) == {
        "links/vmlinux": Path("/home/me@work/vmlinux"),
        "links/dump.vmsn": Path("/home/me@work/a.vmsn"),
        "links/dump.vmem": Path("/home/me@work/a.vmem"),
        "links/loop.ko": odd / "loop.ko",
        "links/sources": Path("/s/1:6.1/linux"),
    }


@pytest.mark.parametrize("character", list(" '\"|><!\\$:;&*?[]()#%@\n\t`{}é"))
def test_plain_paths(character: str) -> None:
    assert is_plain(Path("/var/lib/kernsym/linux_5.10+deb~1-2/a.ko"))
    assert not is_plain(Path(f"/a{character}b"))


def test_relative_paths_are_not_plain() -> None:
    assert not is_plain(Path("a/b"))


@pytest.mark.parametrize(
    ("arguments", "kept", "file"),
    [
        ([], (), None),
        (["-i"], ("-i",), None),
        (["-i", "a", "-s", "-i", "b"], ("-s",), Path("b")),
    ],
)
def test_the_users_input_file(
    arguments: list[str], kept: tuple[str, ...], file: Path | None
) -> None:
    assert split_input_option(arguments) == (kept, file)


NOTHING = Commands(lines=())
AGAIN = ("--machdep", "phys_base=0x200000")


def el5(uname: str, builder: str, machine: str | None = "x86_64") -> tuple[str, ...]:
    shown = Fingerprint(banner=f"Linux version {uname} (mockbuild@{builder}) ", arch=machine)
    kernel = identify(shown).kernel
    assert kernel is not None
    return catalog()[kernel.distro].crash_again(kernel)


@pytest.mark.parametrize(
    ("uname", "builder", "machine", "again"),
    [
        ("2.6.18-371.1.2.el5", "x86-012.build.bos.redhat.com", "x86_64", AGAIN),
        ("2.6.18-53.1.4.el5xen", "hs20-bc2-4.build.redhat.com", "x86_64", AGAIN),
        ("2.6.18-348.el5", "builder10.centos.org", "x86_64", AGAIN),
        ("2.6.18-238.12.2.0.2.el5", "ca-build9.us.oracle.com", "x86_64", AGAIN),
        ("2.6.18-128.el5PAE", "hs20-bc1-5.build.redhat.com", "i686", ()),
        ("2.6.18-371.1.2.el5", "x86-012.build.bos.redhat.com", None, ()),
        ("2.6.32-504.8.1.el6.x86_64", "x86-002.build.bos.redhat.com", "x86_64", ()),
    ],
)
def test_kernels_of_el5_may_need_their_place_said(
    uname: str, builder: str, machine: str | None, again: tuple[str, ...]
) -> None:
    assert el5(uname, builder, machine) == again


def test_the_second_start_has_its_options_before_the_users() -> None:
    made = crash_command(
        CRASH, FACTS, (VMLINUX,), FOLDER, NOTHING, arguments=("--active",), again=AGAIN
    )
    assert made.argv[4:] == ("--active", str(VMLINUX), "/dumps/vmcore")
    assert made.argv_again == (*made.argv[:4], *AGAIN, *made.argv[4:])
    assert input_lines(made)[0] == f"!: > {FOLDER}/begun"


@pytest.mark.parametrize(
    ("facts", "arguments"),
    [
        (replace(FACTS, phys_base=0x1000000), ()),
        (FACTS, ("-m", "phys_base=2M")),
        (FACTS, ("--machdep=phys_base=0",)),
        (FACTS, ("--minimal",)),
    ],
)
def test_there_is_no_second_start_when_it_would_say_nothing_new(
    facts: DumpFacts, arguments: tuple[str, ...]
) -> None:
    made = crash_command(
        CRASH, facts, (VMLINUX,), FOLDER, NOTHING, arguments=arguments, again=AGAIN
    )
    assert not made.argv_again and not any("begun" in line for line in input_lines(made))
