"""Asks the sources of a package one after the other, keeping the three outcomes apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kernsym.distros import (
    CouldNotFindOut,
    Distro,
    Fetch,
    Kernel,
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
    on_ask: Callable[[Source], None] = lambda source: None,
) -> PackageRef:
    """The first source's answer that has the package.

    Raises `Refused` when what a source said was wrong, `CouldNotFindOut` when one could not be
    asked, `NotPublished` when all answered and none has it; in this order, because each says
    more than the next.  The context names every source with its answer.
    """
    answers: list[str] = []
    refused: Refused | None = None
    unsure: CouldNotFindOut | None = None
    for source in sources:
        on_ask(source)
        try:
            found = distro.locate(package, kernel, source, fetch)
        except Refused as error:
            refused = refused or error
            answers.append(f"{source.place}: refused: {error.message}")
        except CouldNotFindOut as error:
            unsure = unsure or error
            answers.append(f"{source.place}: {error.message}")
        else:
            if found is not None:
                return found
            answers.append(f"{source.place}: does not have it")
    context = tuple(answers)
    if refused is not None:
        raise Refused(refused.code, refused.message, context=context, hint=refused.hint)
    if unsure is not None:
        raise CouldNotFindOut(
            unsure.code,
            f"could not find out where {package.id} is published: {unsure.message}",
            context=context,
            hint=unsure.hint or "check the network, or add a [[source]] to kernsym.toml",
        )
    raise NotPublished(
        "not-published",
        f"no source publishes {package.id}",
        context=context,
        hint="if you have the package, put it into a folder and name it as a [[source]] with "
        'kind = "directory" in kernsym.toml',
    )
