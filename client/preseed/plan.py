"""What has to be fetched for a list: each kernel asked of the server, equal ones merged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from kernsym.cache.messages import Part, Priority, SymbolsRequest
from kernsym.cache.planning import PublishedBuild, PublishedRequest, ResolvedKernel, ResolveRequest
from kernsym.client.preseed.entries import Entry
from kernsym.client.preseed.items import Item, State, state_of
from kernsym.client.preseed.parallel import in_parallel
from kernsym.client.server_api import ServerApi
from kernsym.distros import Fingerprint, KernsymError, Series, identify

_THREADS = 4  # the server plans so many at once
# Errors about the server itself: no other kernel would fare better.
_OF_THE_SERVER = (
    "server-unreachable", "server-error", "token-required", "token-invalid", "role-missing",
    "writes-off", "answer-unreadable",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is wanted of every kernel."""

    modules: tuple[str, ...] = ()
    all_modules: bool = False
    sources: bool = False

    def request(
        self, fingerprint: Fingerprint, part: Part, digests: tuple[str, ...] = ()
    ) -> SymbolsRequest:
        """To ask for a part of a kernel with."""
        symbols = part is Part.SYMBOLS
        return SymbolsRequest(
            fingerprint=fingerprint,
            part=part,
            modules=self.modules if symbols else (),
            all_modules=self.all_modules and symbols,
            priority=Priority.BACKGROUND,
            digests=digests,
        )

    @property
    def parts(self) -> tuple[Part, ...]:
        return (Part.SYMBOLS, Part.SOURCES) if self.sources else (Part.SYMBOLS,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """The `newest` kernels of a series."""

    distro: str
    series: Series
    newest: int


def entries_of_rule(api: ServerApi, rule: Rule) -> tuple[list[Entry], tuple[str, ...]]:
    """The newest kernels that are published, as entries; and the sources that could not be asked.

    Raises what kept all of them from answering, or `NotPublished`.
    """
    answer = api.published(PublishedRequest(distro=rule.distro, series=rule.series))
    entries = [_entry_of_build(build) for build in answer.builds[: rule.newest]]
    return entries, answer.unanswered


def _entry_of_build(build: PublishedBuild) -> Entry:
    fingerprint = Fingerprint(package=build.ref.package.id, distro=build.kernel.distro)
    return Entry(where="--newest", text=build.ref.package.id, fingerprint=fingerprint)


def make_plan(
    api: ServerApi,
    entries: Sequence[Entry],
    wish: Wish,
    tell: Callable[[int], None] = lambda done: None,
) -> list[Item]:
    """An item for each kernel and part, the most used first.  `tell` hears how many entries are
    done.  Raises errors that are about the server, not about a kernel."""
    found: dict[int, list[Item]] = {}

    def of_entry(numbered: tuple[int, Entry]) -> tuple[int, list[Item]]:
        number, entry = numbered
        items = (_item(entry, part, wish) for part in wish.parts)
        return number, [found for item in items for found in resolve(api, item, wish)]

    for number, items in in_parallel(of_entry, enumerate(entries), threads=_THREADS):
        found[number] = items
        tell(len(found))
    return merge_items(item for number in sorted(found) for item in found[number])


def merge_items(items: Iterable[Item]) -> list[Item]:
    """Each kernel's part once, counts summed; the most used first."""
    merged: dict[tuple[str, Part], Item] = {}
    for item in items:
        key = item.kernel.key if item.kernel else item.asked, item.part
        first = merged.get(key)
        merged[key] = item
        if first is not None:
            # A banner proves more than a name does.
            best = item if item.fingerprint.banner and not first.fingerprint.banner else first
            count, where = first.count + item.count, first.where + item.where
            merged[key] = replace(best, count=count, where=where)
    return sorted(merged.values(), key=lambda item: -item.count)


def _item(entry: Entry, part: Part, wish: Wish) -> Item:
    return Item(
        asked=entry.text,
        where=(entry.where,),
        count=entry.count,
        fingerprint=entry.fingerprint,
        series=entry.series,
        state=State.UNKNOWN,
        part=part,
        all_modules=wish.all_modules,
    )


def resolve(api: ServerApi, item: Item, wish: Wish) -> list[Item]:
    """The item with its kernel and packages, or with what kept them from being found; several
    where uploads share the name that was asked for.  Raises errors that are about the server."""
    wanted = wish.request(item.fingerprint, item.part)
    try:
        kernels = api.resolve(ResolveRequest(wanted=wanted, series=item.series)).kernels
    except KernsymError as error:
        if error.code in _OF_THE_SERVER:
            raise
        if error.code == "build-id-alone":  # which kernel has it is found out when it is brought
            return [replace(item, state=State.PLANNED, problem=None)]
        kernel = identify(item.fingerprint).kernel
        return [replace(item, state=state_of(error), problem=error, kernel=kernel)]
    return [_with_kernel(item, kernel) for kernel in kernels]


def _with_kernel(item: Item, resolved: ResolvedKernel) -> Item:
    return replace(
        item,
        kernel=resolved.kernel,
        fingerprint=resolved.fingerprint,
        packages=resolved.first,
        problem=None,
        state=State.HELD if resolved.held else State.PLANNED,
    )
