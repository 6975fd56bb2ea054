"""Asks the sources of a package one after the other, keeping the three outcomes apart."""

from __future__ import annotations

from collections.abc import Sequence

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


def resolve(
    distro: Distro,
    kernel: Kernel,
    package: Package,
    sources: Sequence[Source],
    fetch: Fetch,
) -> PackageRef:
    """The first source's answer that has the package.

    Raises `Refused` when what a source said was wrong, `CouldNotFindOut` when one could not be
    asked, `NotPublished` when all answered and none has it; in this order, because each says
    more than the next.  The context names every source with its answer.
    """
    answers: list[str] = []
    failures: list[KernsymError] = []
    for source in sources:
        try:
            found = distro.locate(package, kernel, source, fetch)
        except (CouldNotFindOut, Refused) as error:
            failures.append(error)
            answers.append(f"{source.place}: {error.message}")
        else:
            if found is not None:
                return found
            answers.append(f"{source.place}: does not have it")
    raise _outcome(package, failures, tuple(answers))


def _outcome(
    package: Package, failures: Sequence[KernsymError], answers: tuple[str, ...]
) -> KernsymError:
    for kind in (Refused, CouldNotFindOut):
        for first in failures:
            if isinstance(first, kind):
                return kind(
                    first.code,
                    f"{package.id} was not found: {first.message}",
                    context=answers,
                    hint=first.hint or "check the network, or add a [[source]] to kernsym.toml",
                )
    return NotPublished(
        "not-published",
        f"no source publishes {package.id}",
        context=answers,
        hint="if you have the package, put it into a folder and name it as a [[source]] with "
        'kind = "directory" in kernsym.toml',
    )
