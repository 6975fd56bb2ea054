"""A dump that is being worked on: its facts, and the modules it has loaded, listed once."""

from __future__ import annotations

from pathlib import Path

from kernsym.client.answers import dump_line, dump_warnings, kernel_line
from kernsym.client.debuggers.modules import LoadedModule, loaded_modules
from kernsym.client.dumps import DumpFacts, read_facts
from kernsym.client.output import Reporter
from kernsym.distros import KernsymError, identify


class OpenedDump:
    """`facts` are read; the loaded modules are listed once vmlinux is known.

    `unlisted` says why they could not be listed, if so.
    """

    def __init__(self, facts: DumpFacts, reporter: Reporter) -> None:
        self.facts = facts
        self.unlisted: KernsymError | None = None
        self._reporter = reporter
        self._loaded: tuple[LoadedModule, ...] | None = None

    def loaded(self, vmlinux: Path) -> tuple[LoadedModule, ...]:
        """The loaded modules; () when they cannot be listed."""
        if self._loaded is None:
            try:
                self._loaded = loaded_modules(self.facts, vmlinux)
            except KernsymError as error:
                self.unlisted = error
                self._loaded = ()
                self._reporter.detail("modules", f"not listed by drgn: {error.message}")
        return self._loaded

    def module_names(self, vmlinux: Path) -> tuple[str, ...]:
        """The names of the loaded modules, to ask a server for."""
        return tuple(module.name for module in self.loaded(vmlinux))


def open_for_debugging(path: Path, reporter: Reporter) -> OpenedDump:
    """Identify a dump and tell what it is.  Raises what `read_facts` raises."""
    facts = read_facts(path, lambda done, total: reporter.progress("scan", done, total))
    reporter.line("dump", dump_line(facts))
    for warning in dump_warnings(facts):
        reporter.warning(warning)
    for banner, reason in facts.rejected:
        reporter.detail("rejected", f"{banner}: {reason}")
    verdict = identify(facts.fingerprint)
    if verdict.kernel:
        reporter.line("kernel", kernel_line(verdict.kernel))
    else:
        reporter.line("kernel", f"{verdict.outcome.value}: {verdict.reason}")
        for kernel in verdict.possible:
            reporter.line("possible", kernel_line(kernel))
    for words in verdict.evidence:
        reporter.detail("evidence", words)
    return OpenedDump(facts, reporter)
