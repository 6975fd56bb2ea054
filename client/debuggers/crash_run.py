"""From a dump to the `crash>` prompt: the straight path of `kernsym crash`."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from kernsym.cache import Bundle, FileRole
from kernsym.cache.messages import Partial
from kernsym.client.answers import kernel_line
from kernsym.client.debuggers.bringing import Bringing, Namelists
from kernsym.client.debuggers.crash_command import (
    Commands,
    Symbols,
    crash_command,
    first_commands,
    has_modules,
    is_plain,
    knock,
    listing,
    split_input_option,
)
from kernsym.client.debuggers.crash_session import (
    private_folder,
    read_listed,
    run_crash,
    stray_startup_file,
    write_files,
)
from kernsym.client.debuggers.crash_versions import CrashProgram, refuse_if_unfit, warning_about
from kernsym.client.debuggers.matching import Matching, match_modules
from kernsym.client.debuggers.modules import LoadedModule
from kernsym.client.debuggers.opened import OpenedDump, open_for_debugging
from kernsym.client.debuggers.programs import find_crash
from kernsym.client.holdings import Holdings, open_holdings
from kernsym.client.output import Reporter
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
        session = _Session(
            program=program,
            wish=replace(wish, arguments=arguments),
            extra_input=tuple(extra_input),
            dump=dump,
            holdings=holdings,
            bringing=Bringing(dump, holdings, all_modules=wish.all_modules),
            reporter=reporter,
        )
        return session.print_command() if wish.only_print else session.run()


class _ReplacedError(Exception):
    """The vmlinux that crash has opened was refused in the end, and came again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Session:
    """One dump in crash.

    crash starts with a vmlinux that is checked, while modules still come; it waits before its first
    command until everything is published, so that nobody works with what may yet be refused.
    """

    program: CrashProgram
    wish: CrashWish
    extra_input: tuple[str, ...]
    dump: OpenedDump
    holdings: Holdings
    bringing: Bringing
    reporter: Reporter

    def run(self) -> int:
        """crash's exit status, 128+N when signal N ended it."""
        opened = self.bringing.namelists()
        for line in warning_about(self.program, opened.kernel.version):
            self.reporter.warning(line)
        try:
            status = self._start(opened)
            # crash ends by itself when its vmlinux goes while it opens it.
            if status > 0 and not opened.are_published(self.bringing.bundle()):
                raise _ReplacedError
        except _ReplacedError:
            self.reporter.warning("its vmlinux was refused and came anew: crash is started again")
            bundle = self.bringing.bundle()
            status = self._start(Namelists.at(bundle.kernel, self.holdings.namelists(bundle)))
        bundle = self.bringing.bundle()  # crash may have ended before all had come: it goes on
        if self.holdings.was_withdrawn(bundle):
            words = "the symbols of this session were found to be wrong: ask once more"
            self.reporter.warning(words)
        return status

    def _start(self, opened: Namelists) -> int:
        with private_folder() as folder:
            command = crash_command(
                self.program.path,
                self.dump.facts,
                opened.paths,
                folder,
                knock(folder, os.getpid()),
                arguments=self.wish.arguments,
                again=distro_of(opened.kernel).crash_again(opened.kernel),
            )
            return run_crash(
                command,
                folder,
                directory=_directory(folder, self.reporter),
                batches=self._batches(opened, folder),
            )

    def _batches(self, opened: Namelists, folder: Path) -> Iterator[Commands]:
        bundle = self.bringing.bundle()
        if not opened.are_published(bundle):
            raise _ReplacedError
        loaded = self.dump.loaded(self.holdings.namelist(bundle))
        if self.dump.unlisted is not None and has_modules(self.wish.arguments):
            self.reporter.line("modules", "crash will be asked which are loaded")
            yield listing(folder, os.getpid())
            loaded = read_listed(folder)
            bundle = self._with_modules(bundle, loaded)
        yield first_commands(
            self._symbols(bundle, loaded),
            folder,
            arguments=self.wish.arguments,
            extra_input=self.extra_input,
        )

    def _with_modules(self, bundle: Bundle, loaded: tuple[LoadedModule, ...]) -> Bundle:
        """With the files of the modules that crash itself listed, if they can be had."""
        names = tuple(module.name for module in loaded)
        try:
            return self.holdings.symbols(self.dump.facts.fingerprint, names)
        except KernsymError as error:
            self.reporter.warning(f"no symbols of modules: {error.message}")
            return bundle

    def _symbols(self, bundle: Bundle, loaded: tuple[LoadedModule, ...]) -> Symbols:
        if is_own(bundle.kernel):
            line = f"{kernel_line(bundle.kernel)}  {bundle.label}".rstrip()
            self.reporter.line("kernel", line)
        matching = match_modules(loaded, bundle)
        self.reporter.line("modules", summary(matching))
        folder = self.holdings.store.folder(bundle.kernel)
        return Symbols(
            modules=tuple((module.name, folder / file.path) for module, file in matching.chosen),
            sources=_sources(self.dump, bundle, self.holdings, self.wish, self.reporter),
            source_prefix=bundle.source_prefix,
        )

    def print_command(self) -> int:
        """Print a command for the shell; its files stay, in the kernel's folder if crash takes
        it."""
        bundle = self.bringing.bundle()
        loaded = self.dump.loaded(self.holdings.namelist(bundle))
        if self.dump.unlisted is not None:
            self.reporter.warning("the printed command loads no modules: drgn cannot list them")
        folder = _lasting_folder(self.holdings.store.folder(bundle.kernel) / "commands")
        commands = first_commands(
            self._symbols(bundle, loaded),
            folder,
            arguments=self.wish.arguments,
            extra_input=self.extra_input,
        )
        command = crash_command(
            self.program.path,
            self.dump.facts,
            self.holdings.namelists(bundle),
            folder,
            commands,
            arguments=self.wish.arguments,
        )
        write_files(command, folder)
        print(shlex.join(command.argv))
        return 0


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
        threading.Thread(
            target=_bring_sources, args=(dump, holdings.quiet()), name="sources", daemon=True
        ).start()
        return folder
    return _bring_sources(dump, holdings)


def _bring_sources(dump: OpenedDump, holdings: Holdings) -> Path | None:
    try:
        return holdings.source_folder(holdings.sources(dump.facts.fingerprint))
    except KernsymError as error:
        holdings.reporter.warning(f"no sources: {error.message}")
        return None


def _directory(folder: Path, reporter: Reporter) -> Path | None:
    """crash's working directory: ours, unless a file in it would be executed."""
    stray = stray_startup_file(Path.cwd())
    if stray is None:
        return None
    reporter.warning(f"{stray} is not executed: crash runs in {folder}, gone when it ends")
    return folder


def _lasting_folder(parent: Path) -> Path:
    """A folder in `parent`, or elsewhere where crash does not take its name or nobody may write."""
    if is_plain(parent):
        with contextlib.suppress(OSError):
            parent.mkdir(exist_ok=True)
            return Path(tempfile.mkdtemp(prefix="crash-", dir=parent))
    return Path(tempfile.mkdtemp(prefix="crash-"))
