"""Asks the sources of a package one after the other, keeping the three outcomes apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from kernsym.distros import (
    CouldNotFindOut,
    Distro,
    Fetch,
    Kernel,
    KernsymError,
    NotPublished,
    Package,
    PackageRef,
    Refused,
    Source,
)

PopUnsure = Callable[[], CouldNotFindOut | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A package and the source that publishes it; None: it is held, and was judged when it came."""

    ref: PackageRef
    source: Source | None


def offers(
    distro: Distro,
    kernel: Kernel,
    packages: Sequence[Package],
    sources: Sequence[Source],
    fetch: Fetch,
    *,
    version: str = "",
    pop_unsure: PopUnsure = lambda: None,
) -> Iterator[Offer]:
    """What the sources have, in their order; a source is asked when its turn comes.

    `packages` are alternatives, each source is asked for all of them; what it has of `version`
    comes first.  A file that two sources publish is offered by each, as one may fail to send it;
    the same address only once.  `pop_unsure`: why `fetch` answered with what a source said before,
    if it did since last asked: such a source may publish by now what it did not then.
    When there is none at all, raises `Refused` when what a source said was wrong,
    `CouldNotFindOut` when one could not be asked, `NotPublished` when all answered and none has
    it; in this order, because each says more than the next.  The context names every source with
    its answer.  After an offer, a source that could not be asked still raises at the end.
    """
    answers: list[str] = []
    failures: list[KernsymError] = []
    offered: set[tuple[str, str | None]] = set()
    for source in sources:
        for package in packages:
            try:
                found = _ask(distro, package, kernel, source, fetch, pop_unsure)
            except (CouldNotFindOut, Refused) as error:
                failures.append(error)
                answers.append(f"{source.place}: {error.message}")
                continue
            if not found:
                answers.append(f"{source.place}: does not have {package.name}")
            for ref in sorted(found, key=lambda ref: ref.package.version != version):
                if (ref.url, ref.digest) not in offered:
                    offered.add((ref.url, ref.digest))
                    yield Offer(ref=ref, source=source)
    if failures or not offered:
        raise outcome(" or ".join(package.id for package in packages), failures, tuple(answers))


def _ask(
    distro: Distro,
    package: Package,
    kernel: Kernel,
    source: Source,
    fetch: Fetch,
    pop_unsure: PopUnsure,
) -> tuple[PackageRef, ...]:
    pop_unsure()  # of a source that failed after it
    if distro.locate_all is not None:
        found = distro.locate_all(package, kernel, source, fetch)
    else:
        one = distro.locate(package, kernel, source, fetch)
        found = (one,) if one else ()
    unsure = pop_unsure()
    if unsure is not None and not found:
        raise CouldNotFindOut(
            unsure.code,
            f"did not have {package.name} when it was last asked; now {unsure.message}",
            context=unsure.context,
            hint=unsure.hint,
        )
    return found


def outcome(
    wanted: str, failures: Sequence[KernsymError], answers: tuple[str, ...]
) -> KernsymError:
    """The error when no source gave what was wanted: that of the first who could not say, of those
    whose error says most; `NotPublished` when all of them could.  `answers`: a line for each."""
    for kind in (Refused, CouldNotFindOut):
        for first in failures:
            if isinstance(first, kind):
                return kind(
                    first.code,
                    f"{wanted} was not found: {first.message}",
                    context=(*answers, *first.context),
                    hint=first.hint or "check the network, or add a [[source]] to kernsym.toml",
                )
    return NotPublished(
        "not-published",
        f"no source publishes {wanted}",
        context=answers,
        hint="if you have the package, put it into a folder and name it as a [[source]] with "
        'kind = "directory" in kernsym.toml',
    )


def none_accepted(what: str, failures: Sequence[tuple[str, KernsymError]]) -> KernsymError:
    """The error when none of several `what` was the right one; a single one's own.

    `failures`: what was tried, and its error.  What could not be asked may be the right one; what
    came broken too; else, where one is not published, the others being refused makes it likely.
    """
    if len(failures) == 1:
        return failures[0][1]

    def weight(error: KernsymError) -> int:
        kinds = (CouldNotFindOut, Refused, NotPublished)
        if error.code == "vmlinux-mismatch":
            return len(kinds)
        return next(place for place, kind in enumerate(kinds) if isinstance(error, kind))

    said_most = min((error for _, error in failures), key=weight)
    return type(said_most)(
        said_most.code,
        f"none of {len(failures)} {what} was accepted: {said_most.message}",
        context=tuple(
            line
            for name, error in failures
            for line in (f"{name}: {error.message}", *(f"  {more}" for more in error.context))
        ),
        hint=said_most.hint,
    )
