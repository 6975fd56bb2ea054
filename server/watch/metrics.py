"""The server's numbers, and how Prometheus reads them.

What is counted is kept in rows of plain numbers that only grow.  A request adds to its row in less
than a microsecond, and the rows of several processes add up element by element.
"""

from __future__ import annotations

import contextlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import accumulate

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from kernsym.distros import KernsymError

Labels = tuple[str, ...]
Rows = dict[Labels, list[float]]  # the row's kind and its labels → its numbers
Gauge = Callable[[], Mapping[Labels, float]]
_Family = CounterMetricFamily | GaugeMetricFamily

_REQUEST, _LOOKUP, _JOB = "request", "lookup", "job"
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"))
_REQUEST_BOUNDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
_JOB_BOUNDS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)


class Metrics(Collector):
    """Counts for one application, in its event loop; may be read in any thread."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.registry.register(self)
        self._rows: Rows = {}
        self._gauges: list[tuple[Callable[[], _Family], Gauge]] = []

    def request(self, request: web.BaseRequest, response: web.StreamResponse, took: float) -> None:
        """Count a request that was answered, `took` seconds after it began."""
        method = request.method if request.method in _METHODS else "other"
        key = (_REQUEST, _route(request), method, str(response.status))
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = [0.0] * (3 + len(_REQUEST_BOUNDS))
        row[0] += request.writer.output_size
        row[1] += took
        row[2 + bisect_left(_REQUEST_BOUNDS, took)] += 1

    def lookup(self, result: str) -> None:
        """Count a search for a build ID: `held`, `fetched`, `upstream`, or an error's code."""
        self._rows.setdefault((_LOOKUP, result), [0.0])[0] += 1

    @contextlib.contextmanager
    def failed_lookup(self) -> Iterator[None]:
        """Count a search that ends with an error by its code."""
        try:
            yield
        except KernsymError as error:
            self.lookup(error.code)
            raise

    def job(self, part: str, outcome: str, seconds: float) -> None:
        """Count a job that ended: `done`, or the code of what went wrong."""
        buckets = [0.0] * (1 + len(_JOB_BOUNDS))
        buckets[bisect_left(_JOB_BOUNDS, seconds)] = 1
        self._add((_JOB, part, outcome), (seconds, *buckets))

    def gauge(
        self, name: str, text: str, labels: Labels, read: Gauge, *, grows: bool = False
    ) -> None:
        """Show what `read()` gives whenever somebody asks: labels → value.  `grows`: it never
        becomes less, as a counter."""
        family = CounterMetricFamily if grows else GaugeMetricFamily
        self._gauges.append((partial(family, name, text, labels=labels), read))

    def take(self) -> Rows:
        """What was counted since the last call, for another process to `add`."""
        rows, self._rows = self._rows, {}
        return rows

    def add(self, rows: Rows) -> None:
        """Add what another process counted."""
        for key, numbers in rows.items():
            self._add(key, numbers)

    def _add(self, key: Labels, numbers: Iterable[float]) -> None:
        added = list(numbers)
        held = self._rows.get(key) or [0.0] * len(added)
        self._rows[key] = [one + other for one, other in zip(held, added, strict=True)]

    def collect(self) -> Iterable[Metric]:
        """The families of metrics; called by the registry."""
        rows = list(self._rows.items())
        yield from _requests(_of_kind(_REQUEST, rows))
        yield _lookups(_of_kind(_LOOKUP, rows))
        yield from _jobs(_of_kind(_JOB, rows))
        for make, read in self._gauges:
            family = make()
            for values, value in read().items():
                family.add_metric(values, value)
            yield family


def _route(request: web.BaseRequest) -> str:
    """The pattern that the path fits: there are few of them, however many are tried."""
    # A request that could not be read was matched with nothing; asking for the match would raise.
    match = getattr(request, "_match_info", None)
    resource = match.route.resource if match is not None else None
    return resource.canonical if resource is not None else "none"


def _of_kind(kind: str, rows: Iterable[tuple[Labels, list[float]]]) -> dict[Labels, list[float]]:
    return {key[1:]: numbers for key, numbers in rows if key[0] == kind}


def _requests(rows: Mapping[Labels, list[float]]) -> Iterable[Metric]:
    count = CounterMetricFamily(
        "kernsym_requests", "Requests that were answered.", labels=("route", "method", "status")
    )
    sent = CounterMetricFamily(
        "kernsym_sent_bytes", "Bytes that went out in answers.", labels=("route",)
    )
    by_route: dict[str, list[float]] = {}
    for (route, method, status), numbers in rows.items():
        count.add_metric((route, method, status), sum(numbers[2:]))
        total = by_route.get(route) or [0.0] * len(numbers)
        by_route[route] = [one + other for one, other in zip(total, numbers, strict=True)]
    seconds = HistogramMetricFamily(
        "kernsym_request_seconds",
        "From a request's head to the end of its answer.",
        labels=["route"],
    )
    for route, numbers in by_route.items():
        sent.add_metric((route,), numbers[0])
        seconds.add_metric((route,), _buckets(_REQUEST_BOUNDS, numbers[2:]), numbers[1])
    return count, sent, seconds


def _lookups(rows: Mapping[Labels, list[float]]) -> Metric:
    family = CounterMetricFamily(
        "kernsym_lookups", "Searches for a build ID, by what came of them.", labels=("result",)
    )
    for labels, (count,) in rows.items():
        family.add_metric(labels, count)
    return family


def _jobs(rows: Mapping[Labels, list[float]]) -> Iterable[Metric]:
    ended = CounterMetricFamily(
        "kernsym_jobs_ended", "Jobs that ended, by how.", labels=("part", "outcome")
    )
    seconds = HistogramMetricFamily(
        "kernsym_job_seconds", "How long jobs worked.", labels=("part", "outcome")
    )
    for labels, numbers in rows.items():
        ended.add_metric(labels, sum(numbers[1:]))
        seconds.add_metric(labels, _buckets(_JOB_BOUNDS, numbers[1:]), numbers[0])
    return ended, seconds


def _buckets(bounds: Iterable[float], counts: Iterable[float]) -> list[tuple[str, float]]:
    """Prometheus wants the counts up to each bound."""
    names = (*map(str, bounds), "+Inf")
    return list(zip(names, accumulate(counts), strict=True))
