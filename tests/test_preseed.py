"""`kernsym preseed` as a process: a fleet's list against mirrors, good ones and bad ones."""

from __future__ import annotations

import hashlib
import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import fleet
from tests.conftest import Kernsym
from tests.fleet import FleetKernel
from tests.foreign_worlds import command
from tests.live_server import TOKEN, LiveServer, live_server
from tests.upstream import UpstreamServer

DEBIAN = [fleet.debian(number) for number in range(9, 13)]
ROCKY = [fleet.rocky(number) for number in (5, 30)]
KERNELS = [*DEBIAN, *ROCKY]


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[UpstreamServer]:
    fleet.publish(tmp_path / "mirror", KERNELS)
    with UpstreamServer(tmp_path / "mirror") as server:
        yield server


@pytest.fixture
def kernsym(tmp_path: Path, mirror: UpstreamServer) -> Kernsym:
    return command(tmp_path / "home", fleet.sources(mirror.url))


def fleet_list(kernsym: Kernsym, *lines: str) -> Path:
    path = kernsym.home / "fleet.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def states(out: str) -> dict[str, str]:
    answer = json.loads(out)
    return {one["kernel"] or one["asked"]: one["state"] for one in answer["kernels"]}


def packages_asked(mirror: UpstreamServer, kernels: list[FleetKernel]) -> list[int]:
    return [mirror.hits[f"/{kernel.path}"] for kernel in kernels]


def test_a_plan_then_a_run_then_nothing_more_to_do(
    kernsym: Kernsym, mirror: UpstreamServer
) -> None:
    lines = [f"{10 - place}\t{kernel.banner}" for place, kernel in enumerate(DEBIAN)]
    lines += [f"rocky 8 {ROCKY[0].uname}", ROCKY[1].banner, f"5\t{DEBIAN[1].banner}"]
    path = fleet_list(kernsym, *lines)
    plan = kernsym("preseed", path, "--plan").stdout.splitlines()
    used = [line.split()[2:4] for line in plan[1:3]]
    assert used == [["14", DEBIAN[1].key], ["10", DEBIAN[0].key]]
    assert plan[-1].startswith("total") and "6 to fetch" in plan[-1]
    assert packages_asked(mirror, KERNELS) == [0] * 6

    report = kernsym.home / "report.xml"
    done = kernsym("preseed", path, "--json", "--junit", report)
    assert states(done.stdout) == {kernel.key: "fetched" for kernel in KERNELS}
    assert packages_asked(mirror, KERNELS) == [1] * 6
    suite = ElementTree.parse(report).getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("6", "0", "0")
    names = {case.get("name") for case in suite.iter("testcase")}
    assert names == {kernel.key for kernel in KERNELS}

    mirror.hits.clear()
    again = json.loads(kernsym("preseed", path, "--json").stdout)
    assert again["totals"]["states"]["held"] == 6 and again["totals"]["downloaded"] == 0
    assert packages_asked(mirror, KERNELS) == [0] * 6
    assert len(kernsym("ls").stdout.splitlines()) == 6


def test_what_is_missing_is_named_and_the_others_come(kernsym: Kernsym) -> None:
    bad = {
        fleet.debian(99).banner: "unpublished",
        f"debian 12 {fleet.debian(98).uname}": "unpublished",
        "Linux version 6.1.0-custom (root@host) (gcc) #1 SMP x": "unidentified",
    }
    path = fleet_list(kernsym, *bad, "hello world", DEBIAN[0].banner)
    report = kernsym.home / "report.xml"
    done = kernsym("preseed", path, "--json", "--junit", report, status=3)
    answer = json.loads(done.stdout)
    found = sorted(one["state"] for one in answer["kernels"])
    assert found == sorted([*bad.values(), "fetched"]) and answer["status"] == 3
    assert [line["where"] for line in answer["bad_lines"]] == [f"{path}:4"]
    assert ElementTree.parse(report).getroot().get("failures") == "4"
    kernsym("preseed", path, "--allow-missing")
    path.write_text(f"{fleet.debian(99).banner}\n{DEBIAN[0].banner}\n")
    kernsym("preseed", path, status=4)
    with path.open("a") as file:
        file.write(DEBIAN[3].banner.replace("#1 SMP", "#2 SMP"))
    refused = kernsym("preseed", path, "--allow-missing", status=6)
    assert "differ" in refused.stdout and "Traceback" not in refused.stderr


def test_a_mirror_that_is_dead_is_no_answer(kernsym: Kernsym, tmp_path: Path) -> None:
    path = fleet_list(kernsym, DEBIAN[0].banner)
    dead = command(tmp_path / "dead", fleet.source("http://127.0.0.1:1"))
    assert states(dead("preseed", path, "--json", status=5).stdout) == {DEBIAN[0].key: "unknown"}
    assert states(dead("--offline", "preseed", path, "--json", "--plan", status=5).stdout)


def test_a_budget_of_bytes_leaves_the_least_used(kernsym: Kernsym, mirror: UpstreamServer) -> None:
    sizes = [(mirror.root / kernel.path).stat().st_size for kernel in DEBIAN]
    path = fleet_list(
        kernsym, *(f"{9 - place}\t{kernel.banner}" for place, kernel in enumerate(DEBIAN))
    )
    limit = str(sizes[0] + sizes[1] + 10)
    done = kernsym("preseed", path, "--json", "--max-bytes", limit, status=5)
    assert list(states(done.stdout).values()) == ["fetched", "fetched", "left", "left"]
    kernsym("preseed", path, "--max-bytes", limit)
    assert packages_asked(mirror, DEBIAN) == [1] * 4


def test_a_budget_of_time_keeps_what_came(kernsym: Kernsym, mirror: UpstreamServer) -> None:
    path = fleet_list(kernsym, *(kernel.banner for kernel in DEBIAN))
    mirror.rate = 6000.0
    done = kernsym("preseed", path, "--json", "--max-time", "2s", status=5)
    assert set(states(done.stdout).values()) == {"left"}
    mirror.rate = None
    came = sum(part.stat().st_size for part in kernsym.store.rglob("*.part"))
    assert came
    sent = mirror.bytes_sent
    kernsym("preseed", path)
    whole = sum((mirror.root / kernel.path).stat().st_size for kernel in DEBIAN)
    lists = sum(
        path.stat().st_size for path in (mirror.root / "dists").rglob("*") if path.is_file()
    )
    assert mirror.bytes_sent - sent <= whole - came + lists
    assert not list(kernsym.store.rglob("*.part"))


def test_the_newest_of_a_series_are_tracked(kernsym: Kernsym, mirror: UpstreamServer) -> None:
    rule = ("preseed", "--json", "--distro", "debian", "--series", "bookworm")
    two = states(kernsym(*rule, "--newest", "2").stdout)
    assert set(two) == {DEBIAN[2].key, DEBIAN[3].key}
    newer = fleet.debian(13)
    fleet.publish(mirror.root, [*KERNELS, newer])
    for page in (kernsym.store / "pages").iterdir():
        page.unlink()
    kernsym("pin", DEBIAN[2].key)
    done = kernsym(*rule, "--track", "2")
    assert states(done.stdout) == {newer.key: "fetched"}
    assert f"{DEBIAN[2].key} is kept" in done.stderr and DEBIAN[2].key in kernsym("ls").stdout
    kernsym("unpin", DEBIAN[2].key)
    assert DEBIAN[2].key in kernsym(*rule, "--track", "2").stderr
    held = kernsym("ls").stdout
    assert newer.key in held and DEBIAN[3].key in held and DEBIAN[2].key not in held
    kernsym(*rule[:4], "--series", "sesame", "--newest", "1", status=2)
    kernsym(*rule, "--newest", "1", "--flavour", "cloud-amd64", status=4)


def test_modules_are_brought_as_asked(kernsym: Kernsym) -> None:
    path = fleet_list(kernsym, DEBIAN[0].banner)
    kernsym("preseed", path, "--modules", "ext4")
    assert " 1 modules" in kernsym("ls").stdout
    kernsym("preseed", path, "--modules", "all")
    assert " 2 modules" in kernsym("ls").stdout


def test_a_lock_is_what_came_and_holds_it_to_that(
    kernsym: Kernsym, mirror: UpstreamServer, tmp_path: Path
) -> None:
    path = fleet_list(kernsym, DEBIAN[0].banner, f"rocky {ROCKY[0].uname}")
    lock = kernsym.home / "kernsym.lock"
    kernsym("preseed", path, "--plan", "--lock", lock)
    planned = lock.read_text()
    kernsym("preseed", path, "--lock", lock)
    assert lock.read_text() == planned and planned.count("[[kernel]]") == 2

    fresh = command(tmp_path / "fresh", fleet.sources(mirror.url))
    assert set(states(fresh("preseed", "--locked", "--lock", lock, "--json").stdout).values()) == {
        "fetched"
    }
    # Somebody publishes another package under the name.
    fleet.publish(mirror.root, KERNELS, padding=30_000)
    other = command(tmp_path / "other", fleet.sources(mirror.url))
    done = other("preseed", path, "--locked", "--lock", lock, status=6)
    assert "not as" in done.stdout and not packages_of(other)
    fleet.publish(mirror.root, KERNELS[1:])
    gone = command(tmp_path / "gone", fleet.sources(mirror.url))
    done = gone("preseed", path, "--locked", "--lock", lock, status=6)
    assert "no longer published" in done.stdout
    path.write_text(DEBIAN[2].banner)
    assert "does not have" in gone("preseed", path, "--locked", "--lock", lock, status=6).stdout


def packages_of(kernsym: Kernsym) -> list[Path]:
    return list(kernsym.store.glob("kernels/*/*/*/*/packages/*"))


def test_a_shared_server_is_filled_and_goes_on_alone(
    kernsym: Kernsym, mirror: UpstreamServer, tmp_path: Path
) -> None:
    path = fleet_list(kernsym, *(kernel.banner for kernel in KERNELS))
    settings = f"max_jobs = 2\n{fleet.sources(mirror.url)}"
    folder = tmp_path / "server"
    folder.mkdir()
    kernsym.environment["KERNSYM_TOKEN"] = TOKEN
    with live_server(folder, settings) as server:
        to = ("--server", server.url, "preseed", path, "--json")
        assert set(states(kernsym(*to, "--plan").stdout).values()) == {"planned"}
        assert set(states(kernsym(*to, "--no-wait").stdout).values()) == {"planned"}
        jobs = server.ask("/api/v1/jobs", Authorization=f"Bearer {TOKEN}").json()["jobs"]
        assert len(jobs) == 6 and all(job["priority"] == "background" for job in jobs)
        kernsym(*to)
        assert set(states(kernsym(*to, "--plan").stdout).values()) == {"held"}
        kernsym.environment["KERNSYM_TOKEN"] = "wrong"
        assert "error[token-invalid]" in kernsym(*to, status=5).stderr
    assert packages_asked(mirror, KERNELS) == [1] * 6
    assert not packages_of(kernsym), "the server's store is filled, not ours"
    assert "error[server-needed]" in kernsym("preseed", path, "--no-wait", status=2).stderr


def test_what_to_download_by_hand_is_printed_for_a_shell(
    kernsym: Kernsym, mirror: UpstreamServer, tmp_path: Path
) -> None:
    for kernel in (DEBIAN[0], ROCKY[0]):
        (line,) = kernsym("fetch", "--print-urls", kernel.banner).stdout.splitlines()
        size, digest, url, name = line.split(" ")
        file = mirror.root / kernel.path
        assert int(size) == file.stat().st_size and url == f"{mirror.url}/{kernel.path}"
        assert digest == f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"
        (tmp_path / "by hand").mkdir(exist_ok=True)
        (tmp_path / "by hand" / name).write_bytes(file.read_bytes())
    assert packages_asked(mirror, KERNELS) == [0] * 6
    gone = kernsym("fetch", "--print-urls", fleet.debian(99).banner, status=4)
    assert "error[not-published]" in gone.stderr
    folder = f'[[source]]\ndistro = "*"\nkind = "directory"\nurl = "file://{tmp_path}/by hand"\n'
    alone = command(tmp_path / "alone", folder)
    for kernel in (DEBIAN[0], ROCKY[0]):
        assert kernel.uname in alone("fetch", kernel.banner).stdout


def test_only_the_digests_that_are_asked_for_are_taken(
    mirror: UpstreamServer, tmp_path: Path
) -> None:
    """Of two mirrors the first has another package under the name: the lock's is taken."""
    other = tmp_path / "other"
    fleet.publish(other, KERNELS, padding=9000)
    with UpstreamServer(other) as second:
        both = fleet.source(second.url) + fleet.source(mirror.url)
        kernsym = command(tmp_path / "home", both)
        path = fleet_list(kernsym, DEBIAN[0].banner)
        lock = kernsym.home / "kernsym.lock"
        kernsym("preseed", path, "--lock", lock, "--plan")
        digest = re.search('digest = "(.*)"', lock.read_text())
        folder = tmp_path / "server"
        folder.mkdir()
        with live_server(folder, both) as server:
            right = hashlib.sha256((mirror.root / DEBIAN[0].path).read_bytes()).hexdigest()
            assert digest and digest[1] != f"sha256:{right}"
            assert bring(server, DEBIAN[0], "sha256:0") == "package-changed"
            assert bring(server, DEBIAN[0], f"sha256:{right}") == ""
        assert packages_asked(second, DEBIAN[:1]) == [0]
        assert packages_asked(mirror, DEBIAN[:1]) == [1]


def bring(server: LiveServer, kernel: FleetKernel, digest: str) -> str:
    """The code of what a request for symbols ended with; "" when they came."""
    access = f"Bearer {TOKEN}"
    body = json.dumps({"fingerprint": {"banner": kernel.banner}, "digests": [digest]}).encode()
    job = server.ask("/api/v1/symbols", method="POST", body=body, Authorization=access).json()
    events = server.ask(f"/api/v1/jobs/{job['id']}/events", Authorization=access).body.decode()
    last = [json.loads(line[6:]) for line in events.splitlines() if line.startswith("data: ")][-1]
    return str(last["problem"]["code"]) if last["problem"] else ""
