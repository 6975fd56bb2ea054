"""From a dump to the `crash>` prompt: the straight path of `kernsym crash`."""

from __future__ import annotations

import contextlib
import shlex
import sys
import tempfile
import threading
from dataclasses import dataclass, replace
from pathlib import Path

from kernsym.cache import Bundle, FileRole
from kernsym.cache.messages import Partial
from kernsym.client.answers import kernel_line
from kernsym.client.crash import Symbols, crash_command, is_plain, split_input_option
from kernsym.client.crash_versions import refuse_if_unfit, warning_about
from kernsym.client.holdings import Holdings, open_holdings
from kernsym.client.matching import Matching, match_modules
from kernsym.client.modules import LoadedModule
from kernsym.client.opened import OpenedDump, open_for_debugging
from kernsym.client.output import Reporter
from kernsym.client.programs import find_crash
from kernsym.client.session import (
    ModuleFiles,
    private_folder,
    run_crash,
    stray_startup_file,
    write_files,
)
from kernsym.client.settings import Settings
from kernsym.distros import KernsymError, Unusable, distro_of
from kernsym.distros.core.own import is_own


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashWish:
    """What the user asked for: `program` None: the one that is found; `arguments` for crash."""

    dump: Path
    program: str | None
    arguments: tuple[str, ...]
    all_modules: bool
    sources: bool
    only_print: bool
    partial: Partial = Partial.NO


def run(settings: Settings, wish: CrashWish) -> int:
    """Bring the dump's symbols here and run crash, or print how.  Returns crash's exit status."""
    reporter = settings.reporter()
    program = find_crash(wish.program)
    arguments, extra_input = _read_input_option(wish.arguments)
    dump = open_for_debugging(wish.dump, reporter)
    refuse_if_unfit(program, dump.facts.fingerprint.arch, dump.facts.compression)
    with open_holdings(settings, partial=wish.partial) as holdings:
        bundle = holdings.symbols(
            dump.facts.fingerprint, dump.module_names, all_modules=wish.all_modules
        )
        if is_own(bundle.kernel):
            reporter.line("kernel", f"{kernel_line(bundle.kernel)}  {bundle.label}".rstrip())
        for line in warning_about(program, bundle.kernel.version):
            reporter.warning(line)
        vmlinux = holdings.namelist(bundle)
        symbols = Symbols(
            namelists=holdings.namelists(bundle),
            modules=_module_files(dump, vmlinux, bundle, holdings, reporter),
            sources=_sources(dump, bundle, holdings, wish, reporter),
            source_prefix=bundle.source_prefix,
        )
        if wish.only_print:
            return _print(program.path, dump, symbols, bundle, holdings, arguments, extra_input)
        with private_folder() as folder:
            command = crash_command(
                program.path,
                dump.facts,
                symbols,
                folder,
                arguments=arguments,
                extra_input=extra_input,
                again=distro_of(bundle.kernel).crash_again(bundle.kernel),
            )
            status = run_crash(
                command,
                folder,
                directory=_directory(folder, reporter),
                find_modules=lambda loaded: _answer_crash(loaded, dump, holdings, reporter),
            )
        if holdings.was_withdrawn(bundle):
            reporter.warning("the symbols of this session were found to be wrong: ask once more")
        return status


def _read_input_option(arguments: tuple[str, ...]) -> tuple[tuple[str, ...], list[str]]:
    """The user's arguments for crash, and the lines of an input file of theirs."""
    kept, path = split_input_option(arguments)
    if path is None:
        return kept, []
    try:
        return kept, path.read_text().splitlines()
    except OSError as error:
        raise Unusable(
            "input-unreadable", f"crash's input file {path} cannot be read: {error.strerror}"
        ) from error


def _module_files(
    dump: OpenedDump, vmlinux: Path, bundle: Bundle, holdings: Holdings, reporter: Reporter
) -> tuple[tuple[str, Path], ...] | None:
    """The object file of each loaded module; None when crash has to be asked for the list."""
    loaded = dump.loaded(vmlinux)
    if dump.unlisted is not None:
        reporter.line("modules", "crash will be asked which are loaded")
        return None
    matching = match_modules(loaded, bundle)
    reporter.line("modules", summary(matching))
    return _paths(matching, bundle, holdings)


def _paths(matching: Matching, bundle: Bundle, holdings: Holdings) -> tuple[tuple[str, Path], ...]:
    folder = holdings.store.folder(bundle.kernel)
    return tuple((module.name, folder / file.path) for module, file in matching.chosen)


def summary(matching: Matching) -> str:
    """How many modules have their file, which have none and why."""
    count = len(matching.chosen) + len(matching.missing)
    text = f"{count} loaded, {len(matching.chosen)} with symbols"
    if matching.by_name:
        text += f", {len(matching.by_name)} of them by name alone"
    if matching.missing:
        reasons = ", ".join(f"{module.name} ({reason})" for module, reason in matching.missing)
        text += f"; without: {reasons}"
    return text


def _sources(
    dump: OpenedDump, bundle: Bundle, holdings: Holdings, wish: CrashWish, reporter: Reporter
) -> Path | None:
    """Where the sources are, or will be: a prompt does not wait for them, a script does."""
    if not wish.sources:
        return None
    folder = holdings.source_folder(bundle)
    if bundle.first(FileRole.SOURCE_TREE) is not None and folder is not None and folder.is_dir():
        reporter.line("sources", str(folder))
        return folder
    if folder is not None and sys.stdin.isatty() and not wish.only_print:
        reporter.line("sources", "on their way; `list` shows them when they are there")
        quietly = replace(holdings, reporter=Reporter(quiet=True))
        threading.Thread(
            target=_bring_sources, args=(dump, quietly), name="sources", daemon=True
        ).start()
        return folder
    return _bring_sources(dump, holdings)


def _bring_sources(dump: OpenedDump, holdings: Holdings) -> Path | None:
    try:
        return holdings.source_folder(holdings.sources(dump.facts.fingerprint))
    except KernsymError as error:
        holdings.reporter.warning(f"no sources: {error.message}")
        return None


def _answer_crash(
    loaded: tuple[LoadedModule, ...], dump: OpenedDump, holdings: Holdings, reporter: Reporter
) -> ModuleFiles:
    """The object files for the modules that crash itself listed."""
    names = tuple(module.name for module in loaded)
    bundle = holdings.symbols(dump.facts.fingerprint, names)
    matching = match_modules(loaded, bundle)
    text = f"modules: {summary(matching)}\n"
    return ModuleFiles(files=_paths(matching, bundle, holdings), text=text)


def _directory(folder: Path, reporter: Reporter) -> Path | None:
    """crash's working directory: ours, unless a file in it would be executed."""
    stray = stray_startup_file(Path.cwd())
    if stray is None:
        return None
    reporter.warning(f"{stray} is not executed: crash runs in {folder}, gone when it ends")
    return folder


def _print(
    program: Path,
    dump: OpenedDump,
    symbols: Symbols,
    bundle: Bundle,
    holdings: Holdings,
    arguments: tuple[str, ...],
    extra_input: list[str],
) -> int:
    """Print a command for the shell; its files stay, in the kernel's folder if crash takes it."""
    if symbols.modules is None:
        holdings.reporter.warning("the printed command loads no modules: drgn cannot list them")
        symbols = replace(symbols, modules=())
    folder = _lasting_folder(holdings.store.folder(bundle.kernel) / "commands")
    command = crash_command(
        program, dump.facts, symbols, folder, arguments=arguments, extra_input=extra_input
    )
    write_files(command, folder)
    print(shlex.join(command.argv))
    return 0


def _lasting_folder(parent: Path) -> Path:
    """A folder in `parent`, or elsewhere where crash does not take its name or nobody may write."""
    if is_plain(parent):
        with contextlib.suppress(OSError):
            parent.mkdir(exist_ok=True)
            return Path(tempfile.mkdtemp(prefix="crash-", dir=parent))
    return Path(tempfile.mkdtemp(prefix="crash-"))
