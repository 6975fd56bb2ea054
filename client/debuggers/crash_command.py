"""What crash is started with: its arguments and the file of first commands; no I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kernsym.client.dumps.reader import DumpFacts

INPUT_FILE = "commands"
SOURCES_FILE = "sources.gdb"
LINKS = "links"

# crash reads its input file line by line, and sees what is added to it: where its commands are not
# known yet the file ends with a knock, at which crash waits (crash_session.py adds what follows).
KNOCK, READY = "knock", "ready"
# What crash writes when it is asked for its modules.
LISTED, TAINTED = "listed", "tainted"
# A sign that crash has come to its input.
BEGUN = "begun"


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashCommand:
    """How to start crash.

    `argv` refers to `files` (name to text) and `links` (name to target), which have to lie in
    the folder that the command was made for.
    `argv_again`: how to start it once more when it ends without having made the file `BEGUN`.
    """

    argv: tuple[str, ...]
    files: tuple[tuple[str, str], ...]
    links: tuple[tuple[str, Path], ...]
    argv_again: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """Lines for crash's input file, with `files` and `links` as of `CrashCommand`.

    `knocks`: crash waits at the last one for more.
    """

    lines: tuple[str, ...]
    files: tuple[tuple[str, str], ...] = ()
    links: tuple[tuple[str, Path], ...] = ()
    knocks: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbols:
    """What crash is to use beside its namelists; all paths absolute.

    `modules`: name in the kernel's spelling and object file.
    `sources`: the folder that DWARF's relative names start in; it may come later.
    `source_prefix`: what that folder is called in DWARF's absolute names; "" unknown.
    """

    modules: tuple[tuple[str, Path], ...] = ()
    sources: Path | None = None
    source_prefix: str = ""


def crash_command(
    program: Path,
    facts: DumpFacts,
    namelists: Sequence[Path],
    folder: Path,
    commands: Commands,
    *,
    arguments: Sequence[str] = (),
    again: Sequence[str] = (),
) -> CrashCommand:
    """The command for a dump, with `commands` as its input file.

    `namelists`: vmlinux, or the pair of stripped kernel and `.debug`.  `folder` is where its files
    will lie; the path must be plain (`is_plain`).  `arguments` are the user's own for crash.
    `again`: options for a second start, unless the dump or the user tells what they would.
    """
    links = dict(commands.links)
    names = [
        str(_argument(path, f"{LINKS}/vmlinux{number or ''}", folder, links))
        for number, path in enumerate(namelists)
    ]
    dump = _dump_argument(Path(facts.path).absolute(), folder, links)
    told = facts.phys_base is not None or any("phys_base=" in word for word in arguments)
    if told or "--minimal" in arguments:
        again = ()
    begun = [f"!: > {folder / BEGUN}"] if again else []
    start = (str(program), "-s", "-i", str(folder / INPUT_FILE))
    options = (*_memory_options(facts), *arguments)
    files_of_kernel = (*names, f"{dump}@0x0" if facts.needs_address else str(dump))
    return CrashCommand(
        argv=(*start, *options, *files_of_kernel),
        argv_again=(*start, *again, *options, *files_of_kernel) if again else (),
        files=((INPUT_FILE, as_text([*begun, *commands.lines])), *commands.files),
        links=tuple(links.items()),
    )


def as_text(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


# Options for raw memory by machine: crash's name, key of VMCOREINFO (decimal, or hex with 0x).
# Formats with notes, and VMware's with their registers, tell crash themselves.
_MACHINE_OPTIONS = {
    "aarch64": (
        ("phys_offset", "NUMBER(PHYS_OFFSET)"),
        ("kimage_voffset", "NUMBER(kimage_voffset)"),
    ),
}


def _memory_options(facts: DumpFacts) -> list[str]:
    """`--kaslr` and `-m`, which raw memory needs."""
    if not facts.needs_address:
        return []
    options = []
    if facts.kaslr_offset:
        options.append(f"--kaslr={facts.kaslr_offset:#x}")
    if facts.phys_base:
        # Without 0x crash reads decimal; a negative base is given as it stands in 64 bits.
        options += ["-m", f"phys_base={facts.phys_base % (1 << 64):#x}"]
    values = dict(
        line.split("=", 1)
        for line in (facts.fingerprint.vmcoreinfo or "").splitlines()
        if "=" in line
    )
    for option, key in _MACHINE_OPTIONS.get(facts.fingerprint.arch or "", ()):
        if re.fullmatch(r"-?[0-9]+|0x[0-9a-f]+", values.get(key, "")):
            options += ["-m", f"{option}={int(values[key], 0) % (1 << 64):#x}"]
    return options


def first_commands(
    symbols: Symbols,
    folder: Path,
    *,
    arguments: Sequence[str] = (),
    extra_input: Sequence[str] = (),
) -> Commands:
    """What makes modules and sources known to crash, then `extra_input`: the lines of an input
    file of the user's.  `folder`, `arguments`: as of `crash_command`."""
    links: dict[str, Path] = {}
    lines: list[str] = []
    files: list[tuple[str, str]] = []
    if symbols.sources is not None and "--minimal" not in arguments:
        tree = _word(symbols.sources, f"{LINKS}/sources", folder, links)
        # gdb remembers a source file that it did not find until the next `directory`; so each
        # `list` begins with one, and sources that arrive while the user works are seen.
        text = f"define hook-list\ndirectory {tree}\nend\n"
        if symbols.source_prefix and is_plain(Path(symbols.source_prefix)):
            text = f"set substitute-path {symbols.source_prefix} {tree}\n{text}"
        files.append((SOURCES_FILE, text))
        lines.append(f"gdb source {folder / SOURCES_FILE}")
    for name, path in symbols.modules if has_modules(arguments) else ():
        if re.fullmatch(r"[\w-]+", name, re.ASCII):
            file = _word(path, f"{LINKS}/{name}.ko", folder, links)
            lines.append(f"mod -s {name} {file} > /dev/null")
    return Commands(lines=(*lines, *extra_input), files=tuple(files), links=tuple(links.items()))


def has_modules(arguments: Sequence[str]) -> bool:
    """Whether crash knows `mod` when it is started so; with --minimal it does not know `gdb`
    either."""
    return not {"--minimal", "--no_modules"} & set(arguments)


def knock(folder: Path, keeper: int) -> Commands:
    """Has crash wait until its next commands are known; `keeper`: the process that will tell them,
    without which crash ends."""
    wait = f"echo 1<> {folder / KNOCK} && read answered < {folder / READY}"
    return Commands(lines=(f"!kill -0 {keeper} && {wait} || kill -9 $PPID",), knocks=True)


def listing(folder: Path, keeper: int) -> Commands:
    """Has crash write its list of modules, and then wait."""
    asked = (f"mod > {folder / LISTED}", f"mod -t > {folder / TAINTED}")
    return Commands(lines=(*asked, *knock(folder, keeper).lines), knocks=True)


def is_plain(path: Path) -> bool:
    """Whether crash's command language takes the path as one word; it knows no quoting.

    Blanks, quotes, `|`, `>`, `!` and backslashes have a meaning there, `:` and `$` to gdb.
    """
    return re.fullmatch(r"/[\w./+~^,=-]*", str(path), re.ASCII) is not None


def _word(path: Path, name: str, folder: Path, links: dict[str, Path]) -> Path:
    """The path if it is plain, else that of a link to it."""
    if is_plain(path):
        return path
    links[name] = path
    return folder / name


def _argument(path: Path, name: str, folder: Path, links: dict[str, Path]) -> Path:
    """The path, or that of a link when it holds `@`, which to crash begins an address."""
    if "@" not in str(path):
        return path
    links[name] = path
    return folder / name


def _dump_argument(dump: Path, folder: Path, links: dict[str, Path]) -> Path:
    # crash looks for VMware's .vmem beside the name that it was given.
    snapshot = dump.suffix in {".vmss", ".vmsn"}
    name = f"{LINKS}/dump{dump.suffix if snapshot else ''}"
    found = _argument(dump, name, folder, links)
    if snapshot and found != dump:
        links[f"{LINKS}/dump.vmem"] = dump.with_suffix(".vmem")
    return found


def split_input_option(arguments: Sequence[str]) -> tuple[tuple[str, ...], Path | None]:
    """The user's arguments without `-i FILE`, and that file: crash heeds only the last `-i`.

    >>> split_input_option(["-x", "-i", "mine", "--active"])
    (('-x', '--active'), PosixPath('mine'))
    """
    kept = list(arguments)
    file = None
    while "-i" in kept[:-1]:
        at = kept.index("-i")
        file = Path(kept[at + 1])
        del kept[at : at + 2]
    return tuple(kept), file
