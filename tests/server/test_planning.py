"""What could be brought, said without bringing it, and many kernels asked for at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from kernsym.cache import read_config
from kernsym.server.app import build_app
from kernsym.server.config import server_config
from tests import fleet
from tests.fleet import FleetKernel
from tests.upstream import UpstreamServer

TOKEN = {"Authorization": "Bearer t0ken"}
KERNELS = (fleet.debian(9), fleet.debian(10), fleet.debian(11), fleet.rocky(5), fleet.rocky(30))

Client = TestClient[Any, Any]


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[UpstreamServer]:
    fleet.publish(tmp_path / "mirror", KERNELS)
    with UpstreamServer(tmp_path / "mirror") as server:
        yield server


@pytest.fixture
def make_client(
    aiohttp_client: Any, tmp_path: Path, mirror: UpstreamServer
) -> Callable[..., Awaitable[Client]]:
    async def make(sources: str = "") -> Client:
        file = tmp_path / "kernsym.toml"
        file.write_text(f"[builtin]\nsources = false\n{sources or fleet.sources(mirror.url)}")
        config = server_config(read_config(file), store=tmp_path / "store", token="t0ken")
        client: Client = await aiohttp_client(build_app(config))
        return client

    return make


async def post(client: Client, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    answer = await client.post(f"/api/v1/{path}", json=body, headers=TOKEN)
    return answer.status, await answer.json()


async def resolve(client: Client, **fingerprint: str) -> tuple[int, dict[str, Any]]:
    return await post(client, "resolve", {"wanted": {"fingerprint": fingerprint}})


@pytest.mark.parametrize("kernel", [KERNELS[0], KERNELS[3]], ids=["deb", "rpm"])
async def test_a_plan_names_the_package_and_fetches_nothing(
    make_client: Any, mirror: UpstreamServer, kernel: FleetKernel
) -> None:
    client = await make_client()
    status, answer = await resolve(client, banner=kernel.banner)
    (found,) = answer["kernels"]
    (choice,) = found["choices"]
    (ref,) = choice["refs"]
    body = (mirror.root / kernel.path).stat()
    assert (status, found["held"], choice["role"]) == (200, False, "debuginfo")
    assert (ref["package"]["id"], ref["size"]) == (kernel.package, body.st_size)
    assert ref["url"] == f"{mirror.url}/{kernel.path}" and len(ref["sha256"]) == 64
    assert not mirror.hits[f"/{kernel.path}"]


async def test_what_is_held_is_said_without_asking_anybody(
    make_client: Any, mirror: UpstreamServer
) -> None:
    client = await make_client()
    wanted = {"fingerprint": {"banner": KERNELS[0].banner}}
    _, job = await post(client, "symbols", wanted)
    await (await client.get(f"/api/v1/jobs/{job['id']}/events", headers=TOKEN)).text()
    mirror.hits.clear()
    _, answer = await post(client, "resolve", {"wanted": wanted})
    (found,) = answer["kernels"]
    assert found["held"] and found["choices"][0]["refs"][0]["package"]["id"] == KERNELS[0].package
    assert not mirror.hits
    _, answer = await post(client, "resolve", {"wanted": {**wanted, "all_modules": True}})
    assert not answer["kernels"][0]["held"], "more is wanted than is held"


async def test_the_three_outcomes_stay_apart(make_client: Any, mirror: UpstreamServer) -> None:
    client = await make_client()
    unpublished = fleet.debian(99)
    status, problem = await resolve(client, banner=unpublished.banner)
    assert (status, problem["kind"]) == (404, "not-published")
    mirror.status_for = lambda path, hit: 403 if "dists" in path else None
    client = await make_client(fleet.source(mirror.url, path="/elsewhere/../"))
    status, problem = await resolve(client, banner=KERNELS[0].banner)
    assert (status, problem["kind"]) == (502, "could-not-find-out")
    status, problem = await resolve(client, release="5.0.0-custom")
    assert (status, problem["kind"]) == (422, "not-identified")
    status, problem = await resolve(client, build_id="ab" * 20)
    assert (status, problem["code"]) == (409, "build-id-alone")


async def test_a_name_and_whose_it_is_are_enough(make_client: Any) -> None:
    """Debian's uploads share names: the list tells which there are; Rocky's name says it all."""
    client = await make_client()
    for kernel in (KERNELS[1], KERNELS[3]):
        status, _ = await resolve(client, release=kernel.uname)
        assert status == 422
        status, answer = await resolve(client, release=kernel.uname, distro=kernel.distro)
        (found,) = answer["kernels"]
        assert found["fingerprint"]["package"] == kernel.package
        assert found["fingerprint"]["distro"] == kernel.distro
        _, job = await post(client, "symbols", {"fingerprint": found["fingerprint"]})
        events = await client.get(f"/api/v1/jobs/{job['id']}/events", headers=TOKEN)
        assert '"done"' in await events.text()
        _, answer = await resolve(client, release=kernel.uname, distro=kernel.distro)
        assert answer["kernels"][0]["held"]
    status, problem = await resolve(client, release="6.1.0-77-amd64", distro="debian")
    assert (status, problem["kind"]) == (404, "not-published")


async def test_the_kernels_of_a_series_newest_first(make_client: Any) -> None:
    client = await make_client()
    status, answer = await post(
        client, "published", {"distro": "debian", "series": {"name": "bookworm"}}
    )
    assert status == 200
    assert [one["kernel"]["uname"] for one in answer["builds"]] == [
        f"6.1.0-{number}-amd64" for number in (11, 10, 9)
    ]
    _, answer = await post(client, "published", {"distro": "rocky", "series": {"name": "8.10"}})
    assert [one["ref"]["package"]["id"] for one in answer["builds"]] == [
        KERNELS[4].package,
        KERNELS[3].package,
    ]
    for distro, name, expected in (
        ("debian", "sesame", 400),
        ("beos", "5", 400),
        ("debian", "trixie", 404),
    ):
        status, _ = await post(client, "published", {"distro": distro, "series": {"name": name}})
        assert status == expected


async def test_a_source_that_cannot_be_asked_is_said(
    make_client: Any, mirror: UpstreamServer
) -> None:
    dead = fleet.source("http://127.0.0.1:1")
    client = await make_client(fleet.sources(mirror.url) + dead)
    body = {"distro": "debian", "series": {"name": "12"}}
    status, answer = await post(client, "published", body)
    assert status == 200 and len(answer["builds"]) == 3 and len(answer["unanswered"]) == 1
    client = await make_client(dead)
    status, problem = await post(client, "published", body)
    assert (status, problem["kind"]) == (502, "could-not-find-out")


async def test_many_are_asked_for_at_once(make_client: Any, mirror: UpstreamServer) -> None:
    client = await make_client()
    prints = [{"banner": one.banner} for one in KERNELS] + [{"release": "5.0.0-custom"}]
    status, answer = await post(client, "preseed", {"fingerprints": prints})
    *jobs, problem = answer["answers"]
    assert status == 200 and problem["problem"]["kind"] == "not-identified"
    assert all(one["job"]["priority"] == "background" for one in jobs)
    for one in jobs:
        path = f"/api/v1/jobs/{one['job']['id']}/events"
        assert '"done"' in await (await client.get(path, headers=TOKEN)).text()
    _, answer = await post(client, "preseed", {"fingerprints": prints[:-1]})
    assert [one["held"]["uname"] for one in answer["answers"]] == [one.uname for one in KERNELS]
    assert all(mirror.hits[f"/{one.path}"] == 1 for one in KERNELS)
