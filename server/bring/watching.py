"""Keeps the catalog: asks sources for all they publish, and remembers what was there before."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from kernsym.cache import Store
from kernsym.cache.planning import CatalogRequest, CatalogUpdate, WatchedSeries
from kernsym.cache.publications import SourceRecord
from kernsym.distros import (
    CouldNotFindOut,
    Kernel,
    NotPublished,
    Refused,
    Series,
    Source,
    Unusable,
    catalog,
)
from kernsym.distros.formats import published
from kernsym.server.bring.packages import Packages
from kernsym.server.disk import writing
from kernsym.server.mirrors.mirror_errors import public
from kernsym.server.problems import problem_of

_THREADS = 4  # each keeps a core busy with the lists of packages


class Watch:
    """The sources of the series that somebody wants watched."""

    def __init__(self, store: Store, packages: Packages) -> None:
        self._store = store
        self._packages = packages

    def update(self, request: CatalogRequest) -> tuple[CatalogUpdate, ...]:
        """Ask every source of the series; for threads.  One that cannot be asked, or that lists
        suddenly little, changes nothing.

        Raises `Unusable` (`no-such-series`, `nothing-watched`, `disk-full`).
        """
        series = request.series or self._watched()
        if not series:
            raise Unusable(
                "nothing-watched",
                "the catalog is empty",
                hint="say what to watch: kernsym catalog update debian:bookworm ubuntu:jammy",
            )
        work = [
            (watched, like, source)
            for watched in series
            for like in [_typical(watched)]
            for source in self._packages.sources(like)
            if source.kind in published.LISTED_KINDS
        ]
        with ThreadPoolExecutor(_THREADS, "catalog") as threads:
            updates = threads.map(lambda one: self._ask(*one, shrink=request.accept_shrink), work)
            return tuple(updates)

    def _watched(self) -> tuple[WatchedSeries, ...]:
        """What earlier updates asked for."""
        texts = dict.fromkeys(record.series for record in self._store.publications.records())
        parts = (text.split(":") for text in texts)
        return tuple(
            WatchedSeries(distro=distro, release=release, arch=arch)
            for distro, release, arch in parts
        )

    def _ask(
        self, watched: WatchedSeries, like: Kernel, source: Source, *, shrink: bool
    ) -> CatalogUpdate:
        empty = SourceRecord(source=_name_of(source), place=source.place, series=watched.text)
        fetch = self._packages.fetch(like, patient=False, fresh=True)
        try:
            found = [
                (one.kernel, one.ref)
                for one in published.kernels(like, source, fetch)
                if one.kernel.release in (like.release, "")
            ]
            if (unsure := fetch.pop_unsure()) is not None:  # it was an earlier answer
                raise unsure
            with writing(self._store.root / "catalog"):
                before, after = self._store.publications.update(
                    empty, found, int(time.time()), floor=source.floor, shrink=shrink
                )
        except (NotPublished, CouldNotFindOut, Refused) as error:
            return CatalogUpdate(series=watched.text, place=source.place, problem=problem_of(error))
        there, now = ({each.package for each in one.present} for one in (before, after))
        return CatalogUpdate(
            series=watched.text,
            place=source.place,
            listed=len(now),
            added=tuple(sorted(now - there)),
            gone=tuple(sorted(there - now)),
        )


def _typical(watched: WatchedSeries) -> Kernel:
    distro = catalog().get(watched.distro)
    like = distro.typical(Series(name=watched.release, arch=watched.arch)) if distro else None
    if like is None:
        raise Unusable(
            "no-such-series",
            f"no release {watched.release!r} of {watched.distro!r} is known",
            hint=f"distributions: {', '.join(catalog())}; releases as jammy, 22.04, 9 or 15-SP5",
        )
    return like


def _name_of(source: Source) -> str:
    """What tells a source from all others, without credentials."""
    return f"{source.kind} {public(source.url)} {source.suite} {source.component}"
