"""What `/metrics` shows of the moment: the jobs, the store, its disk."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping

from kernsym.cache import Store
from kernsym.distros import KernsymError
from kernsym.server.jobs import Job, JobBoard
from kernsym.server.lookup.federation import Federation
from kernsym.server.watch.metrics import Labels, Metrics


def add_gauges(metrics: Metrics, store: Store, jobs: JobBoard) -> None:
    """Nothing here walks the store: a scrape costs three questions to its index and its disk."""
    metrics.gauge(
        "kernsym_jobs",
        "Jobs that wait or run, by the stage they are at.",
        ("state", "stage"),
        lambda: Counter(
            (job.state.value, job.current_stage) for job in jobs.jobs() if not job.over
        ),
    )
    totals = store.files.totals
    metrics.gauge("kernsym_store_kernels", "Kernels that are held.", (), lambda: {(): totals()[0]})
    metrics.gauge("kernsym_store_files", "Files of these kernels.", (), lambda: {(): totals()[1]})
    metrics.gauge(
        "kernsym_store_file_bytes",
        "Size of these files, without packages and sources.",
        (),
        lambda: {(): totals()[2]},
    )
    metrics.gauge(
        "kernsym_store_free_bytes", "Room left on the store's disk.", (), lambda: _free(store)
    )


def add_peer_gauges(metrics: Metrics, federation: Federation) -> None:
    """How the other debuginfod servers do that are asked."""
    metrics.gauge(
        "kernsym_upstream_answers",
        "What other debuginfod servers answered.",
        ("server", "outcome"),
        lambda: {
            (peer.url, outcome): count
            for peer in federation.states()
            for outcome, count in (
                ("hit", peer.hits),
                ("miss", peer.misses),
                ("error", peer.errors),
            )
        },
        grows=True,
    )
    metrics.gauge(
        "kernsym_upstream_paused_seconds",
        "For how long a server that failed is not asked.",
        ("server",),
        lambda: {(peer.url,): peer.paused for peer in federation.states()},
    )


def count_end(metrics: Metrics, job: Job, error: KernsymError | None) -> None:
    """Count a job that has ended."""
    outcome = "cancelled" if job.cancelled_by else error.code if error else "done"
    metrics.job(job.part.value, outcome, job.status().seconds or 0.0)


def _free(store: Store) -> Mapping[Labels, float]:
    try:
        return {(): shutil.disk_usage(store.root).free}
    except OSError:
        return {}
