"""Without the network: what is held is used, and what mirrors said before, with its age."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.conftest import BANNER, DEBUG_PACKAGE, KERNEL, WORLD, Kernsym, write_config
from tests.upstream import UpstreamServer


def test_offline_the_lists_of_before_are_read(kernsym: Kernsym, mirror: UpstreamServer) -> None:
    vmlinux = kernsym("fetch", BANNER).stdout
    assert kernsym("--offline", "fetch", BANNER).stdout == vmlinux
    kernsym("rm", KERNEL.uname)
    for page in (kernsym.store / "pages").iterdir():
        os.utime(page, (time.time() - 50 * 3600,) * 2)
    asked = mirror.hits.total()
    done = kernsym("--offline", "fetch", BANNER, status=5)
    assert "error[offline]" in done.stderr and "2 days ago" in done.stderr
    assert Path(DEBUG_PACKAGE).name in done.stderr
    assert mirror.hits.total() == asked


def test_a_folder_needs_no_network(kernsym: Kernsym, mirror: UpstreamServer) -> None:
    config = Path(kernsym.environment["KERNSYM_CONFIG"])
    write_config(config, (WORLD / "repo").as_uri())
    assert Path(kernsym("--offline", "fetch", "--sources", BANNER).stdout.strip()).is_file()
    assert not mirror.hits
