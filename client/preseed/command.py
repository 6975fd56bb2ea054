"""A preseed from beginning to end: read, plan, run, report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from kernsym.cache.planning import PreseedRequest
from kernsym.client.output import Reporter, printable, size
from kernsym.client.preseed import lock as locks
from kernsym.client.preseed.entries import BadLine, Entry, merge
from kernsym.client.preseed.items import Item, State, exit_status, state_of
from kernsym.client.preseed.junit import junit
from kernsym.client.preseed.lines import Hints
from kernsym.client.preseed.plan import Rule, Wish, entries_of_rule, make_plan
from kernsym.client.preseed.run import Budget, Run
from kernsym.client.preseed.sources import read_lists
from kernsym.client.preseed.tracking import remove_older
from kernsym.client.preseed.view import WORDS, as_json, table, totals
from kernsym.client.server_api import ServerApi
from kernsym.client.settings import Settings
from kernsym.distros import CouldNotFindOut, Fingerprint, KernsymError, Series, Unusable


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of the command, as click gives them."""

    plan: bool
    modules: str
    sources: bool
    distro: str | None
    series: str | None
    flavour: str
    arch: str | None
    line: str
    newest: int | None
    track: int | None
    max_bytes: int | None
    max_time: float | None
    at_once: int
    lock: Path | None
    locked: bool
    junit: Path | None
    allow_missing: bool
    no_wait: bool

    @property
    def wish(self) -> Wish:
        names = tuple(filter(None, self.modules.split(",")))
        special = names in (("all",), ("none",))
        return Wish(
            modules=() if special else names,
            all_modules=names == ("all",),
            sources=self.sources,
        )

    @property
    def hints(self) -> Hints:
        return Hints(distro=self.distro or "", series=self.series or "", arch=self.arch or "")

    @property
    def rule(self) -> Rule | None:
        count = self.newest or (1 if self.track else None)
        if count is None:
            return None
        series = Series(
            name=self.series or "",
            flavour=self.flavour,
            arch=self.arch or "x86_64",
            line=self.line,
        )
        return Rule(distro=self.distro or "", series=series, newest=count)


def carry_out(settings: Settings, lists: Sequence[str], options: Options) -> int:
    """Do what the options say; the exit status."""
    reporter = settings.reporter()
    lock = _read_lock(options)
    entries, bad = read_lists(lists, options.hints, reporter)
    if lock is not None and options.locked and not lists and options.rule is None:
        entries = lock.entries()
    for line in bad:
        reporter.warning(f"{line.where}: {line.reason}: {line.text}")
    if options.no_wait and settings.server_url() is None:
        raise _server_needed()
    with settings.api() as api:
        items, unanswered = _plan(api, entries, options, reporter)
        if not options.plan:
            items = _bring(api, items, options, reporter, lock if options.locked else None)
        elif options.locked and lock is not None:
            items = lock.judge(items)
    status = exit_status(items, bad, allow_missing=options.allow_missing)
    if unanswered and not status:
        status = exit_status([_unanswered()], [])
    if options.lock and not options.locked:
        locks.write(options.lock, items, lock)
    if options.junit:
        _write(options.junit, junit(items, bad))
    _show(settings, items, bad, status=status, unanswered=unanswered)
    return status


def _read_lock(options: Options) -> locks.Lock | None:
    """The lock as it is before the run; None where there is to be one for the first time."""
    if options.lock is None or not (options.locked or options.lock.exists()):
        return None
    return locks.read(options.lock)


def _bring(
    api: ServerApi,
    items: list[Item],
    options: Options,
    reporter: Reporter,
    lock: locks.Lock | None,
) -> list[Item]:
    """The items as they ended, by `lock` where there is one; then what is too old is removed."""
    if options.no_wait:
        return _hand_over(api, items, options.wish, reporter)
    items = _run(api, lock.judge(items) if lock else items, options, reporter, lock)
    if options.track:
        for kernel, error in remove_older(api, items, options.track):
            if error is None:
                reporter.line("removed", kernel.key)
            else:
                reporter.warning(f"{kernel.key} is kept: {error.message}")
    return lock.judge(items) if lock else items


def _plan(
    api: ServerApi, entries: list[Entry], options: Options, reporter: Reporter
) -> tuple[list[Item], tuple[str, ...]]:
    """The items, and the sources that a rule could not ask."""
    unanswered: tuple[str, ...] = ()
    failed: list[Item] = []
    if options.rule is not None:
        try:
            found, unanswered = entries_of_rule(api, options.rule)
            entries = merge([*entries, *found])
        except Unusable:
            raise
        except KernsymError as error:
            if not entries:
                raise
            failed.append(_of_rule(error))
    for text in unanswered:
        reporter.warning(f"a source could not be asked, which may have newer kernels: {text}")
    total = len(entries)
    items = make_plan(
        api,
        entries,
        options.wish,
        lambda done: reporter.progress("plan", done, total, of="kernels"),
    )
    reporter.end_progress()
    return [*items, *failed], unanswered


def _of_rule(error: KernsymError) -> Item:
    return Item(
        asked="--newest", where=("--newest",), count=1, fingerprint=Fingerprint(),
        state=state_of(error), problem=error,
    )  # fmt: skip


def _unanswered() -> Item:
    return _of_rule(CouldNotFindOut("unanswered", "a source could not be asked"))


def _run(
    api: ServerApi,
    items: list[Item],
    options: Options,
    reporter: Reporter,
    locked: locks.Lock | None,
) -> list[Item]:
    budget = Budget(
        most_bytes=options.max_bytes, most_seconds=options.max_time, at_once=options.at_once
    )
    digests = locked.digests if locked else lambda item: ()
    run = Run(api=api, wish=options.wish, budget=budget, digests=digests)
    if any(item.state is State.PLANNED for item in items):
        reporter.line("plan", totals(items, ()))

    def tell(item: Item) -> None:
        took = f"  {size(item.downloaded)}, {item.seconds:.0f} s" if item.downloaded else ""
        why = "" if item.problem is None else f": {item.problem.message}"
        reporter.line(WORDS[item.state], f"{item.name}{took}{why}")

    ended = run.go(items, tell, lambda done, total: reporter.progress("download", done, total))
    reporter.end_progress()
    return ended


def _hand_over(api: ServerApi, items: Sequence[Item], wish: Wish, reporter: Reporter) -> list[Item]:
    """Leave what is to be fetched to a shared server, whose jobs outlive us."""
    waiting = [item for item in items if item.state is State.PLANNED]
    request = PreseedRequest(
        fingerprints=tuple(item.fingerprint for item in waiting),
        modules=wish.modules,
        all_modules=wish.all_modules,
    )
    became: dict[str, Item] = {}
    for item, answer in zip(waiting, api.preseed(request) if waiting else (), strict=True):
        if answer.held:
            became[item.name] = replace(item, state=State.HELD, kernel=answer.held)
        elif answer.job:
            reporter.line("job", f"{answer.job.id}  {answer.job.kernel.key}")
        elif answer.problem:
            error = answer.problem.as_error()
            became[item.name] = replace(item, state=state_of(error), problem=error)
    return [became.get(item.name, item) for item in items]


def _server_needed() -> Unusable:
    return Unusable(
        "server-needed",
        "only a shared server goes on when we have ended",
        hint="name it with --server URL or KERNSYM_URL, or leave --no-wait out",
    )


def _show(
    settings: Settings,
    items: Sequence[Item],
    bad: Sequence[BadLine],
    *,
    status: int,
    unanswered: Sequence[str],
) -> None:
    if settings.json:
        click.echo(as_json(items, bad, status=status, unanswered=unanswered))
        return
    for line in table(items):
        click.echo(printable(line))
    click.echo(f"total          {totals(items, bad)}")
    reporter = settings.reporter()
    for item in items:
        if item.problem is not None and item.problem.hint:
            reporter.detail("hint", f"{item.name}: {item.problem.hint}")


def _write(path: Path, data: bytes) -> None:
    from kernsym.cache.atomic import write_atomic

    try:
        write_atomic(path.absolute(), data)
    except OSError as error:
        raise Unusable(
            "report-unwritable", f"{path} cannot be written: {error.strerror}"
        ) from error
