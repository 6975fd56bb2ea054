"""The HTTP surface, on the bundled world: symbols, jobs and their events, kernels, debuginfod."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient

from kernsym.distros import Source
from kernsym.server.app import build_app
from kernsym.server.config import Options, ServerConfig
from tests.conftest import BANNER, DEBUG_PACKAGE, KERNEL, SOURCE_PACKAGE, WORLD
from tests.upstream import UpstreamServer

TOKEN = {"Authorization": "Bearer t0ken"}
OTHER_VERSION = BANNER.replace(KERNEL.version, KERNEL.version + "9")

Client = TestClient[Any, Any]
MakeClient = Callable[..., Awaitable[Client]]


@pytest.fixture
def make_client(aiohttp_client: Any, tmp_path: Path, mirror: UpstreamServer) -> MakeClient:
    async def make(**changes: Any) -> Client:
        source = Source(
            distro="debian",
            kind="apt",
            url=mirror.url,
            suite="bookworm",
            signed_by=(str(WORLD / "archive-key.asc"),),
            origin="kernsym.toml",
        )
        settings = {
            "store": tmp_path / "store",
            "host": "127.0.0.1",
            "port": 0,
            "token": "t0ken",
            "sources": (source,),
            "builtin_sources": False,
            **changes,
        }
        client: Client = await aiohttp_client(build_app(ServerConfig(**settings)))
        return client

    return make


async def ask(client: Client, **wanted: Any) -> ClientResponse:
    body = {"fingerprint": {"banner": BANNER}, **wanted}
    return await client.post("/api/v1/symbols", json=body, headers=TOKEN)


async def follow(client: Client, job: dict[str, Any], after: int = 0) -> list[dict[str, Any]]:
    """All events of a job, read from its stream to the end."""
    response = await client.get(
        f"/api/v1/jobs/{job['id']}/events", headers={"Last-Event-ID": str(after), **TOKEN}
    )
    assert response.content_type == "text/event-stream"
    lines = (await response.text()).splitlines()
    return [json.loads(line[6:]) for line in lines if line.startswith("data: ")]


async def bring(client: Client, **wanted: Any) -> dict[str, Any]:
    """The bundle, after as many jobs as it takes."""
    for _ in range(3):
        response = await ask(client, **wanted)
        answer: dict[str, Any] = await response.json()
        if response.status == 200:
            return answer
        assert response.status == 202, answer
        assert (await follow(client, answer))[-1]["kind"] == "done"
    raise AssertionError("three jobs and no bundle")


async def test_an_unknown_kernel_becomes_a_bundle(
    make_client: MakeClient, mirror: UpstreamServer
) -> None:
    client = await make_client()
    response = await ask(client, modules=["overlay", "no-such"])
    assert response.status == 202
    job = await response.json()
    assert response.headers["Location"] == f"/api/v1/jobs/{job['id']}"
    events = await follow(client, job)
    stages = [event["stage"] for event in events if event["kind"] == "stage"]
    assert stages[0] == "package" and stages[-1] == "unpack"
    assert set(stages[1:-1]) == {"vmlinux", "download"}  # in either order: they overlap
    assert [event["id"] for event in events] == sorted(event["id"] for event in events)
    assert await follow(client, job, after=events[-2]["id"]) == events[-1:]
    assert (await (await client.get(f"/api/v1/jobs/{job['id']}")).json())["state"] == "done"

    again = await ask(client, modules=["overlay", "no_such"])
    assert again.status == 200
    bundle = await again.json()
    assert bundle["verification"]["by"] == ["banner"]
    assert bundle["absent"] == ["no_such"]
    assert {file["name"] for file in bundle["files"] if file["role"] == "module"} == {"overlay"}
    assert mirror.hits[DEBUG_PACKAGE] == 1


async def test_many_who_ask_share_one_job_and_one_download(
    make_client: MakeClient, mirror: UpstreamServer
) -> None:
    client = await make_client()
    answers = await asyncio.gather(*(ask(client, modules=["overlay"]) for _ in range(8)))
    jobs = [await answer.json() for answer in answers]
    assert len({job["id"] for job in jobs}) == 1
    await follow(client, jobs[0])
    assert mirror.hits[DEBUG_PACKAGE] == 1


async def test_a_promise_is_redeemed_in_the_same_pass(
    make_client: MakeClient, mirror: UpstreamServer
) -> None:
    client = await make_client()
    job = await (await ask(client, modules=None)).json()
    stream = await client.get(f"/api/v1/jobs/{job['id']}/events", headers=TOKEN)
    while b"event: vmlinux" not in (line := await stream.content.readline()):
        assert line, "the job ended before vmlinux was there"
    second = await (await ask(client, modules=["crc-ccitt"])).json()
    assert second["id"] == job["id"]
    events = await follow(client, job)
    assert [e["stage"] for e in events if e["kind"] == "stage"].count("package") == 1
    bundle = await bring(client, modules=["crc-ccitt"])
    assert "crc_ccitt" in {file["name"] for file in bundle["files"]}
    assert mirror.hits[DEBUG_PACKAGE] == 1


async def test_more_modules_come_from_the_package_that_is_held(
    make_client: MakeClient, mirror: UpstreamServer
) -> None:
    client = await make_client()
    await bring(client, modules=[])
    bundle = await bring(client, all_modules=True)
    assert bundle["all_modules"] and len(bundle["files"]) > 5
    assert mirror.hits[DEBUG_PACKAGE] == 1


async def test_sources_arrive_and_are_served(
    make_client: MakeClient, mirror: UpstreamServer
) -> None:
    client = await make_client(options=Options(fetch_on_demand=False))
    bundle = await bring(client, modules=[])
    build_id = bundle["verification"]["build_id"]
    missing = await client.get(f"/buildid/{build_id}/source/kernel/panic.c")
    assert missing.status == 404 and (await missing.json())["code"] == "not-held"
    await bring(client, part="sources")
    for path in ("kernel/panic.c", "/kernel/panic.c", "%2Fkernel/x/../panic.c"):
        response = await client.get(f"/buildid/{build_id}/source/{path}")
        assert response.status == 200, path
        assert "panic(" in await response.text()
    stream = await client.get(f"/api/v1/kernels/{KERNEL.key}/sources")
    with tarfile.open(fileobj=io.BytesIO(await stream.read())) as archive:
        assert "kernel/panic.c" in archive.getnames()
    assert mirror.hits[SOURCE_PACKAGE] == 1


@pytest.mark.parametrize("path", ["../../etc/passwd", "%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd"])
async def test_no_path_leads_out_of_the_sources(make_client: MakeClient, path: str) -> None:
    client = await make_client()
    bundle = await bring(client, modules=[])
    await bring(client, part="sources")
    build_id = bundle["verification"]["build_id"]
    response = await client.get(f"/buildid/{build_id}/source/{path}")
    assert response.status in (403, 404)


async def test_files_are_served_by_build_id_whole_and_in_ranges(make_client: MakeClient) -> None:
    client = await make_client()
    bundle = await bring(client, modules=["overlay"])
    for file in bundle["files"]:
        if not file["build_id"]:
            continue
        head = await client.head(f"/buildid/{file['build_id'].upper()}/debuginfo")
        assert head.status == 200
        assert head.headers["X-DEBUGINFOD-SIZE"] == str(file["size"])
        assert head.headers["X-DEBUGINFOD-FILE"] == file["path"].removeprefix("root")
        whole = await (await client.get(f"/buildid/{file['build_id']}/executable")).read()
        assert whole.startswith(b"\x7fELF") and len(whole) == file["size"]
        part = await client.get(
            f"/api/v1/kernels/{KERNEL.key}/files/{file['path']}", headers={"Range": "bytes=4-7"}
        )
        assert part.status == 206 and await part.read() == whole[4:8]


@pytest.mark.parametrize(
    ("build_id", "status", "code"),
    [("ab" * 20, 404, "not-held"), ("zz" * 20, 400, "build-id-invalid"), ("ab", 400, None)],
)
async def test_a_build_id_that_finds_nothing_says_why(
    make_client: MakeClient, build_id: str, status: int, code: str | None
) -> None:
    response = await (await make_client()).get(f"/buildid/{build_id}/debuginfo")
    assert response.status == status
    assert response.content_type == "application/problem+json"
    assert code in (None, (await response.json())["code"])


async def test_reads_are_open_and_writes_are_not(make_client: MakeClient) -> None:
    client = await make_client()
    body = {"fingerprint": {"banner": BANNER}}
    refused = await client.post("/api/v1/symbols", json=body)
    assert refused.status == 401
    assert refused.headers["WWW-Authenticate"] == 'Bearer realm="kernsym"'
    await bring(client, modules=[])
    assert (await client.post("/api/v1/symbols", json=body)).status == 200  # it is held
    assert (await client.get(f"/api/v1/kernels/{KERNEL.key}")).status == 200
    assert (await client.delete(f"/api/v1/kernels/{KERNEL.key}")).status == 401
    assert (await client.delete(f"/api/v1/kernels/{KERNEL.key}", headers=TOKEN)).status == 204
    assert (await client.get(f"/api/v1/kernels/{KERNEL.key}")).status == 404
    assert (await (await client.get("/api/v1/kernels")).json()) == {"kernels": []}


@pytest.mark.parametrize(
    ("fingerprint", "status", "code"),
    [
        ({"banner": BANNER.replace("#1 SMP", "#2 SMP")}, 409, "vmlinux-mismatch"),
        ({"banner": BANNER, "build_id": "ab" * 20}, 409, "vmlinux-mismatch"),
        ({"banner": OTHER_VERSION}, 404, "not-published"),
        ({"release": KERNEL.uname}, 422, "ambiguous"),
        ({"banner": "Linux version 1.2.3 (a@b) (gcc) #1"}, 422, "unknown"),
    ],
)
async def test_what_cannot_be_had_is_refused_with_its_reason(
    make_client: MakeClient, fingerprint: dict[str, str], status: int, code: str
) -> None:
    client = await make_client()
    response = await ask(client, fingerprint=fingerprint)
    problem = await response.json()
    if response.status == 202:
        problem = (await follow(client, problem))[-1]["problem"]
    assert (problem["status"], problem["code"]) == (status, code)
    assert (await (await client.get("/api/v1/kernels")).json()) == {"kernels": []}


async def test_a_held_kernel_is_not_handed_to_another_dump(make_client: MakeClient) -> None:
    client = await make_client()
    await bring(client, modules=[])
    response = await ask(client, fingerprint={"banner": BANNER, "build_id": "ab" * 20})
    assert response.status == 202, "its twin is looked for"
    problem = (await follow(client, await response.json()))[-1]["problem"]
    assert (problem["status"], problem["code"]) == (409, "vmlinux-mismatch")
    held = (await (await client.get("/api/v1/kernels")).json())["kernels"]
    assert [bundle["verification"]["build_id"] for bundle in held] != ["ab" * 20]


@pytest.mark.parametrize("body", ["{", "[]", '{"fingerprint": {"build_id": "../x"}}', '{"x": 1}'])
async def test_a_body_that_is_not_as_it_should_be(make_client: MakeClient, body: str) -> None:
    client = await make_client()
    headers = {**TOKEN, "Content-Type": "application/json"}
    response = await client.post("/api/v1/symbols", data=body, headers=headers)
    assert response.status == 400
    assert (await response.json())["code"] == "body-invalid"
    form = await client.post("/api/v1/symbols", data={"fingerprint": body}, headers=TOKEN)
    assert form.status == 415 and (await form.json())["code"] == "body-not-json"


async def test_unknown_routes_and_jobs_are_problems_too(make_client: MakeClient) -> None:
    client = await make_client()
    for path in ("/nothing", "/api/v1/jobs/none", f"/api/v1/kernels/{KERNEL.key}/files/etc/passwd"):
        response = await client.get(path)
        assert response.status == 404
        assert response.content_type == "application/problem+json"


async def test_a_sure_miss_is_remembered_and_a_failure_is_not(
    make_client: MakeClient, mirror: UpstreamServer
) -> None:
    client = await make_client()
    gone = {"banner": OTHER_VERSION}
    inrelease = "/dists/bookworm/InRelease"
    mirror.status_for = lambda path, hit: 403
    first = await follow(client, await (await ask(client, fingerprint=gone)).json())
    assert first[-1]["problem"]["code"] == "credentials-missing"
    mirror.status_for = lambda path, hit: None
    second = await follow(client, await (await ask(client, fingerprint=gone)).json())
    assert second[-1]["problem"]["code"] == "not-published"
    asked = mirror.hits.copy()
    assert asked[inrelease] >= 2
    third = await follow(client, await (await ask(client, fingerprint=gone)).json())
    assert third[-1]["problem"]["code"] == "not-published"
    assert mirror.hits == asked


async def test_offline_asks_nobody(make_client: MakeClient, mirror: UpstreamServer) -> None:
    client = await make_client(offline=True)
    events = await follow(client, await (await ask(client)).json())
    assert events[-1]["problem"]["code"] == "offline"
    assert not mirror.hits
