"""Asking the sources: three outcomes, never mixed, each with every source's answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import IO

import pytest

from kernsym.distros import (
    CouldNotFindOut,
    Distro,
    Fetch,
    Kernel,
    KernsymError,
    Layout,
    NotPublished,
    Package,
    PackageRef,
    Page,
    Refused,
    Role,
    Source,
)
from kernsym.server.mirrors.resolve import Offer, offers

KERNEL = Kernel(distro="x", release="1", arch="x86_64", uname="1.0", flavour="", version="1.0-1")
PACKAGE = Package(role=Role.DEBUGINFO, id="k-dbg.deb", name="k-dbg", version="1.0-1", arch="amd64")

Answer = KernsymError | bool
NO, YES = False, True
DOWN = CouldNotFindOut("mirror-unreachable", "the mirror does not answer")
FORBIDDEN = CouldNotFindOut("credentials-missing", "403", hint="log in")
TAMPERED = Refused("signature-bad", "the signature does not fit")


class NoFetch:
    def page(
        self,
        url: str,
        *,
        sha256: str | None = None,
        digest: str | None = None,
        fresh: bool = False,
    ) -> Page | None:
        raise AssertionError("not asked here")

    def signed(self, url: str, source: Source, *, detached: str | None = None) -> Page | None:
        raise AssertionError("not asked here")

    def open(self, url: str, *, digest: str) -> IO[bytes] | None:
        raise AssertionError("not asked here")

    def zstd(self, packed: IO[bytes]) -> Iterator[bytes]:
        raise AssertionError("not asked here")


def distro(answers: dict[str, Answer]) -> Distro:
    """A distribution whose sources give the answers in `answers`, by their suite."""

    def locate(package: Package, kernel: Kernel, source: Source, fetch: Fetch) -> PackageRef | None:
        answer = answers[source.suite]
        if isinstance(answer, KernsymError):
            raise answer
        if not answer:
            return None
        return PackageRef(package=package, url=source.url, origin=source.suite, why="it is there")

    never = re.compile("$^")
    return Distro(
        name="x",
        title="X",
        recognise=lambda evidence: None,
        packages=lambda kernel: (PACKAGE,),
        sources=lambda kernel, machine: (),
        locate=locate,
        layout=lambda kernel: Layout(vmlinux=never, modules=never),
    )


def ask(*answers: Answer) -> Offer:
    named = {f"s{number}": answer for number, answer in enumerate(answers)}
    sources = [
        Source(distro="x", kind="apt", url="https://me:secret@x.example/", suite=suite)
        for suite in named
    ]
    return next(offers(distro(named), KERNEL, (PACKAGE,), sources, NoFetch()))


@pytest.mark.parametrize("before", [(), (NO,), (DOWN,), (TAMPERED, NO, FORBIDDEN)])
def test_the_first_source_that_has_it_answers(before: tuple[Answer, ...]) -> None:
    assert ask(*before, YES, YES).ref.origin == f"s{len(before)}"


Outcome = Callable[..., KernsymError]


@pytest.mark.parametrize(
    ("answers", "kind", "code"),
    [
        ((NO, NO), NotPublished, "not-published"),
        ((), NotPublished, "not-published"),
        ((NO, DOWN), CouldNotFindOut, "mirror-unreachable"),
        ((FORBIDDEN, DOWN, NO), CouldNotFindOut, "credentials-missing"),
        ((DOWN, TAMPERED), Refused, "signature-bad"),
    ],
)
def test_without_it_the_outcome_that_says_most_is_raised(
    answers: tuple[Answer, ...], kind: type[KernsymError], code: str
) -> None:
    with pytest.raises(kind) as caught:
        ask(*answers)
    assert caught.value.code == code
    assert len(caught.value.context) == len(answers)
    assert "secret" not in " ".join((caught.value.message, *caught.value.context))
