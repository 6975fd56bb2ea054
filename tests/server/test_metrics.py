"""`/metrics`: what was asked is counted right, in both of Prometheus' formats."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from kernsym.server.watch.metrics import Metrics
from tests.live_server import LiveServer, fill_store, live_server, module_build_id
from tests.processes import wait_for

ROUTE = "/buildid/{id}/debuginfo"


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Name and label values, in the order of the label names → value."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in parse_text(text)
        for sample in family.samples
    }


def scrape(server: LiveServer) -> dict[tuple[str, ...], float]:
    return samples(server.ask("/metrics").body.decode())


def _openmetrics(text: str) -> list[Metric]:
    return list(openmetrics.text_string_to_metric_families(text))  # type: ignore[no-untyped-call]


def test_requests_bytes_and_seconds_are_counted(tmp_path: Path) -> None:
    fill_store(tmp_path / "store", module_bytes=300_000)
    with live_server(tmp_path) as server:
        for _ in range(3):
            assert len(server.ask(f"/buildid/{module_build_id(0)}/debuginfo").body) > 300_000
        server.ask("/buildid/" + "ee" * 20 + "/debuginfo")
        for name in ("a", "b"):
            server.ask(f"/nothing/{name}")
        found = scrape(server)
        assert found["kernsym_requests_total", "GET", ROUTE, "200"] == 3
        assert found["kernsym_requests_total", "GET", ROUTE, "404"] == 1
        assert found["kernsym_requests_total", "GET", "none", "404"] == 2
        assert found["kernsym_lookups_total", "held"] == 3
        assert found["kernsym_lookups_total", "not-held"] == 1
        assert 900_000 < found["kernsym_sent_bytes_total", ROUTE] < 950_000
        assert found["kernsym_request_seconds_count", ROUTE] == 4
        assert found["kernsym_request_seconds_bucket", "+Inf", ROUTE] == 4
        assert 0 < found["kernsym_request_seconds_sum", ROUTE] < 60
        assert scrape(server)["kernsym_requests_total", "GET", "/metrics", "200"] == 1


def test_the_store_its_disk_and_the_process_are_shown(tmp_path: Path) -> None:
    bundle = fill_store(tmp_path / "store")
    with live_server(tmp_path) as server:
        wait_for(lambda: scrape(server)["kernsym_store_kernels",] == 1)
        found = scrape(server)
    assert found["kernsym_store_files",] == len(bundle.files)
    assert found["kernsym_store_file_bytes",] == sum(file.size for file in bundle.files)
    assert found["kernsym_store_free_bytes",] > 0
    assert found["process_resident_memory_bytes",] > 1 << 20


def test_both_formats_by_what_is_accepted(tmp_path: Path) -> None:
    with live_server(tmp_path) as server:
        plain = server.ask("/metrics", Accept="text/html")
        assert plain.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        opened = server.ask("/metrics", Accept="application/openmetrics-text; version=1.0.0")
        assert opened.headers["Content-Type"].startswith("application/openmetrics-text")
        names = {family.name for family in _openmetrics(opened.body.decode())}
        assert {"kernsym_requests", "kernsym_request_seconds", "kernsym_jobs"} <= names


def test_jobs_and_lookups() -> None:
    metrics = Metrics()
    metrics.lookup("held")
    metrics.job("symbols", "done", 20.0)
    metrics.job("symbols", "not-published", 2000.0)
    found = _shown(metrics)
    assert found["kernsym_lookups_total", "held"] == 1
    assert found["kernsym_jobs_ended_total", "not-published", "symbols"] == 1
    assert found["kernsym_job_seconds_bucket", "10.0", "done", "symbols"] == 0
    assert found["kernsym_job_seconds_bucket", "30.0", "done", "symbols"] == 1
    assert found["kernsym_job_seconds_sum", "not-published", "symbols"] == 2000


def test_the_rows_of_several_processes_add_up() -> None:
    one, other = Metrics(), Metrics()
    for _ in range(2):
        one.lookup("held")
        other.lookup("held")
        one.add(other.take())
        other.job("symbols", "done", 2.0)
    one.add(other.take())
    found = _shown(one)
    assert found["kernsym_lookups_total", "held"] == 4
    assert found["kernsym_jobs_ended_total", "done", "symbols"] == 2
    assert not other.take()


def _shown(metrics: Metrics) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in metrics.collect()
        for sample in family.samples
    }
