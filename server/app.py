"""Builds the application: the only place where the server's objects are made and joined."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from aiohttp import web

from kernsym.cache import Foreign, Store
from kernsym.distros import KernsymError
from kernsym.server.bring.added import sweep
from kernsym.server.bring.packages import Packages
from kernsym.server.bring.plan import Plans
from kernsym.server.bring.watching import Watch
from kernsym.server.config import ServerConfig
from kernsym.server.gate.access import ACCESS, OPEN_PATHS, Access, access_middleware
from kernsym.server.gate.cors import add_cors
from kernsym.server.gate.limits import LIMITING, LIMITS, Limits
from kernsym.server.jobs import Job, JobBoard, Journal
from kernsym.server.keys import (
    ANSWERS,
    ARTEFACTS,
    CONFIG,
    JOBS,
    LOOKUP,
    METRICS,
    MISSES,
    PLANS,
    PREPARER,
    RELOAD,
    STORE,
    SYMBOLS,
    UPKEEP,
    WATCH,
)
from kernsym.server.lookup.federation import Federation, peer_urls
from kernsym.server.lookup.local_search import LocalSearch
from kernsym.server.lookup.lookup import Lookup
from kernsym.server.lookup.misses import Misses
from kernsym.server.lookup.package_index import PackageIndex
from kernsym.server.lookup.peer import PeerLimits
from kernsym.server.mending import keep_index
from kernsym.server.mirrors.credentials import Credentials
from kernsym.server.mirrors.thread_fetch import ThreadFetch
from kernsym.server.mirrors.upstream import Limits as MirrorLimits
from kernsym.server.mirrors.upstream import Upstream
from kernsym.server.openapi import with_description
from kernsym.server.prepare.background import Preparer
from kernsym.server.problems import problems_middleware
from kernsym.server.process.forward import forward_to
from kernsym.server.process.reload import Reload
from kernsym.server.routes import (
    adding,
    bundles,
    catalog,
    debuginfod,
    jobs,
    kernels,
    metadata,
    ops,
    planning,
    symbols,
    upkeep,
)
from kernsym.server.routes.route import add_routes
from kernsym.server.served import FileAnswers
from kernsym.server.served.artefacts import Artefacts, cache_control
from kernsym.server.symbols import Symbols
from kernsym.server.upkeep import Upkeep, let_go_of_kernels
from kernsym.server.watch.gauges import add_gauges, add_peer_gauges, count_end
from kernsym.server.watch.metrics import Metrics
from kernsym.server.watch.request_log import add_request_ids

_MOST_BODY_BYTES = 4 << 20  # a request that names every module of a kernel has 100 kB

ROUTES = with_description(
    (
        *debuginfod.ROUTES,
        *metadata.ROUTES,
        *symbols.ROUTES,
        *planning.ROUTES,
        *catalog.ROUTES,
        *jobs.ROUTES,
        *kernels.ROUTES,
        *adding.ROUTES,
        *bundles.ROUTES,
        *upkeep.ROUTES,
        *ops.ROUTES,
    )
)


def build_app(config: ServerConfig) -> web.Application:
    """The application on `config.store`.  Raises `Unusable` when the store cannot be used."""
    app = _build(config)
    app[UPKEEP] = Upkeep(app[STORE], app[RELOAD])
    app.cleanup_ctx.append(_connect)
    app.cleanup_ctx.append(app[UPKEEP].work)
    app.cleanup_ctx.append(keep_index)
    app.on_shutdown.append(_hand_back)
    return app


def build_worker(config: ServerConfig, fetcher: Path) -> web.Application:
    """The same, but what the store cannot answer goes to the application on the socket `fetcher`.

    Raises `Unusable` when the store cannot be used.
    """
    app = _build(config)
    forward_to(app, fetcher)
    return app


def _build(config: ServerConfig) -> web.Application:
    """What answers from the store, and every route."""
    app = web.Application(
        middlewares=[problems_middleware, access_middleware], client_max_size=_MOST_BODY_BYTES
    )
    add_cors(app, config.options.cors_origins)
    add_request_ids(app)
    app[CONFIG] = config
    app[STORE] = Store(config.store)
    app[METRICS] = Metrics()
    app[RELOAD] = Reload(config)
    _guard(app, config)
    app[ARTEFACTS] = Artefacts(
        app[STORE],
        cache_control=cache_control(config),
        in_part=any(source.partial for source in config.sources),
    )
    app[ANSWERS] = FileAnswers(
        app[STORE].root / "encoded",
        memory_bytes=config.options.memory_mb << 20,
        encoded_bytes=config.options.encoded_mb << 20,
        uses=app[STORE].uses,
    )
    app[MISSES] = Misses(app[STORE])
    app.cleanup_ctx.append(_close)
    add_routes(app, ROUTES)
    return app


async def _connect(app: web.Application) -> AsyncIterator[None]:
    """What needs the running loop: the sessions to mirrors, and the end of the jobs."""
    credentials = Credentials(app[CONFIG].credentials)
    shared = app[CONFIG].keeps_jobs
    index = _package_index(app)
    app[PREPARER] = Preparer(app[STORE], app[CONFIG].options, lasting=shared)

    def ended(job: Job, error: KernsymError | None) -> None:
        app[UPKEEP].job_ended()
        count_end(app[METRICS], job, error)
        index.consider(job, error)
        app[PREPARER].ended(job, error)

    journal = Journal.open(app[STORE].root / "jobs") if shared else None
    app[JOBS] = JobBoard(max_jobs=app[CONFIG].options.max_jobs, journal=journal, on_end=ended)
    add_gauges(app[METRICS], app[STORE], app[JOBS])
    pages, offline = app[STORE].root / "pages", app[CONFIG].offline
    upstream = Upstream(pages, _patience(app), credentials=credentials, offline=offline)
    async with upstream, _federation(app) as federation, index.working(app[JOBS]):
        add_peer_gauges(app[METRICS], federation)
        packages = Packages(app[STORE], upstream, app[CONFIG])
        app[SYMBOLS] = Symbols(app[STORE], app[JOBS], packages)
        app[PLANS] = Plans(app[STORE], packages)
        app[WATCH] = Watch(app[STORE], packages)
        app[SYMBOLS].resume()
        app[RELOAD].on_change(lambda new: app[JOBS].allow(new.options.max_jobs), "max_jobs")
        app[RELOAD].on_change(
            packages.reconfigure, "sources", "builtin_sources", "credentials", "offline", "limits"
        )
        search = LocalSearch(
            app[STORE],
            app[JOBS],
            app[SYMBOLS],
            ThreadFetch(upstream),
            app[CONFIG],
            unread=lambda: index.unread,
        )
        app[RELOAD].on_change(search.reconfigure, "sources", "offline", "fetch_on_demand")
        app[LOOKUP] = Lookup(app[STORE], search, federation)
        with app[PREPARER].working():
            yield
        app[PLANS].close()


def _package_index(app: web.Application) -> PackageIndex:
    """What a shared server learns of folders and packages; it clears up after killed ones too."""
    config = app[CONFIG]
    if config.keeps_jobs:
        sweep(app[STORE])
    index = PackageIndex(
        app[STORE],
        config.sources,
        enabled=config.keeps_jobs and config.options.index_packages,
        scan_seconds=60.0 * config.options.scan_minutes,
    )
    app[RELOAD].on_change(index.reconfigure, "sources")
    return index


def _patience(app: web.Application) -> MirrorLimits:
    """With mirrors."""
    options = app[CONFIG].options
    usual = MirrorLimits()
    return replace(
        usual,
        stall=options.mirror_seconds,
        attempts=min(usual.attempts, options.mirror_attempts),
        download_attempts=options.mirror_attempts,
    )


async def _close(app: web.Application) -> AsyncIterator[None]:
    letting_go = asyncio.create_task(let_go_of_kernels(app[STORE]))
    yield
    letting_go.cancel()
    await asyncio.gather(letting_go, return_exceptions=True)
    await asyncio.to_thread(app[ANSWERS].close)
    app[STORE].close()


async def _hand_back(app: web.Application) -> None:
    """Stop what the jobs do before running answers are waited for: those who follow a job would
    otherwise hold the server up."""
    await app[LOOKUP].close()
    await app[JOBS].close()


def _federation(app: web.Application) -> Federation:
    root, options = app[STORE].root, app[CONFIG].options
    foreign = Foreign(root / "foreign", options.foreign_mb << 20, root / "locks/foreign")
    limits = PeerLimits(first_byte=options.upstream_seconds)
    urls = () if app[CONFIG].offline else peer_urls(options)
    return Federation(urls, foreign, limits=limits, most_hops=options.upstream_hops)


def _guard(app: web.Application, config: ServerConfig) -> None:
    """Who may ask, and how much."""
    app[OPEN_PATHS] = set()
    app[ACCESS] = Access(config)
    app[LIMITS] = Limits(config.options)
    app[RELOAD].on_change(
        app[ACCESS].reconfigure, "token", "token_file", "tokens_file", "token_for_reads"
    )
    app[RELOAD].on_change(app[LIMITS].reconfigure, *LIMITING)
