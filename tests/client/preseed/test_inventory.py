"""Lists as people and tools really write them: what each line asks for, and which are bad."""

from __future__ import annotations

import json

import pytest

from kernsym.client.preseed.entries import BadLine, Entry, merge
from kernsym.client.preseed.inventory import read_inventory
from kernsym.client.preseed.lines import Hints
from kernsym.distros import Fingerprint
from tests.fleet import debian, rocky

BANNER = debian(9).banner
UBUNTU = "5.15.0-91-generic"
BUILT = "#101-Ubuntu SMP Tue Nov 14 13:30:08 UTC 2023"
ROCKY = rocky(5).uname


def read(text: str, **hints: str) -> tuple[list[Entry], list[BadLine]]:
    found = list(read_inventory("list", text, Hints(**hints)))
    return (
        [one for one in found if isinstance(one, Entry)],
        [one for one in found if isinstance(one, BadLine)],
    )


def only(text: str, **hints: str) -> Entry:
    (entry,), bad = read(text, **hints)
    assert not bad
    return entry


@pytest.mark.parametrize(
    ("line", "fingerprint", "series", "count"),
    [
        (BANNER, Fingerprint(banner=BANNER), "", 1),
        (f"312\t{BANNER}", Fingerprint(banner=BANNER), "", 312),
        (f"    12 {BANNER}", Fingerprint(banner=BANNER), "", 12),  # uniq -c
        (f"[    0.000000] {BANNER}", Fingerprint(banner=BANNER), "", 1),
        (f"{BANNER} distro=debian", Fingerprint(banner=BANNER, distro="debian"), "", 1),
        (f"ubuntu {UBUNTU}", Fingerprint(release=UBUNTU, distro="ubuntu"), "", 1),
        (f"Ubuntu jammy {UBUNTU}", Fingerprint(release=UBUNTU, distro="ubuntu"), "jammy", 1),
        (f"7 ubuntu 22.04 {UBUNTU} x86_64",
         Fingerprint(release=UBUNTU, distro="ubuntu", arch="x86_64"), "22.04", 7),
        (f"{UBUNTU} distro=ubuntu series=22.04.3 arch=aarch64 count=5",
         Fingerprint(release=UBUNTU, distro="ubuntu", arch="aarch64"), "22.04", 5),
        (f"rocky 8 {ROCKY}", Fingerprint(release=ROCKY, distro="rocky"), "8", 1),
        (f"{ROCKY} distro=RedHat", Fingerprint(release=ROCKY, distro="rhel"), "", 1),
        ("CentOS 9 5.14.0-447.el9.x86_64",
         Fingerprint(release="5.14.0-447.el9.x86_64", distro="centos-stream"), "9", 1),
        (ROCKY, Fingerprint(release=ROCKY), "", 1),
        ("Linux web1 5.15.0-91-generic #101-Ubuntu SMP Tue Nov 14 13:30:08 UTC 2023 x86_64 x86_64 "
         "x86_64 GNU/Linux",
         Fingerprint(release=UBUNTU, version=BUILT, machine="x86_64"), "", 1),
        (rocky(5).package, Fingerprint(package=rocky(5).package), "", 1),
        (f"/srv/{debian(9).package}", Fingerprint(package=debian(9).package), "", 1),
        ("AB" * 20, Fingerprint(build_id="ab" * 20), "", 1),
    ],
)  # fmt: skip
def test_a_line(line: str, fingerprint: Fingerprint, series: str, count: int) -> None:
    entry = only(line)
    assert (entry.fingerprint, entry.series, entry.count) == (fingerprint, series, count)


def test_the_path_of_a_dump_is_left_to_who_can_read_it() -> None:
    assert only("3\t/var/crash/202311/vmcore").dump == "/var/crash/202311/vmcore"


def test_what_the_command_line_says_holds_where_a_line_does_not() -> None:
    shown = only(UBUNTU, distro="ubuntu", series="jammy").fingerprint
    assert (shown.release, shown.distro) == (UBUNTU, "ubuntu")
    assert only(f"{UBUNTU} distro=debian", distro="ubuntu").fingerprint.distro == "debian"


def test_a_bad_line_is_named_and_stops_nobody() -> None:
    text = f"# kernels\n\n{BANNER}\nhello world\n{UBUNTU} distro=beos\ncount=0 {BANNER}\n{BANNER}"
    entries, bad = read(text)
    assert [entry.where for entry in entries] == ["list:3", "list:7"]
    assert [line.where for line in bad] == ["list:4", "list:5", "list:6"]
    assert "beos" in bad[1].reason


FACTS = {
    "ansible_architecture": "x86_64",
    "ansible_cmdline": {"BOOT_IMAGE": "/vmlinuz-5.15.0-91-generic"},
    "ansible_distribution": "Ubuntu",
    "ansible_distribution_major_version": "22",
    "ansible_distribution_release": "jammy",
    "ansible_distribution_version": "22.04",
    "ansible_kernel": UBUNTU,
    "ansible_kernel_version": BUILT,
    "ansible_lsb": {"release": "22.04"},
    "ansible_machine": "x86_64",
    "ansible_python_version": "3.10.12",
}
OF_UBUNTU = Fingerprint(release=UBUNTU, version=BUILT, machine="x86_64", distro="ubuntu")
SETUP = {"ansible_facts": FACTS, "changed": False}


@pytest.mark.parametrize(
    "text",
    [
        "web1 | SUCCESS => " + json.dumps(SETUP, indent=4),
        "web1 | SUCCESS => " + json.dumps(SETUP),  # -o
        json.dumps(SETUP),  # a file of --tree
        json.dumps(FACTS, indent=4),  # a file of the cache of facts
        json.dumps({"web1": SETUP}),
        json.dumps([{"host": "web1", **SETUP}]),
    ],
    ids=["ad hoc", "one line", "tree", "cache", "by host", "list"],
)
def test_facts_of_ansible(text: str) -> None:
    entry = only(text)
    assert (entry.fingerprint, entry.series) == (OF_UBUNTU, "22.04")


def test_several_hosts_of_ansible_of_which_one_did_not_answer() -> None:
    text = (
        f"web1 | SUCCESS => {json.dumps(SETUP, indent=4)}\n"
        'db1 | UNREACHABLE! => {\n    "changed": false,\n    "msg": "timed out"\n}\n'
        f"web2 | SUCCESS => {json.dumps(SETUP, indent=4)}\n"
    )
    entries, bad = read(text)
    assert [entry.fingerprint for entry in entries] == [OF_UBUNTU] * 2
    assert bad[0].text == "db1" and bad[0].where.startswith("list:")
    (merged,) = merge(entries)
    assert merged.count == 2


@pytest.mark.parametrize(
    ("facts", "distro", "series"),
    [
        (("RedHat", "8.10", "Ootpa"), "rhel", "8.10"),
        (("CentOS", "8", "Stream"), "centos-stream", "8"),
        (("CentOS", "7.9", "Core"), "centos", "7.9"),
        (("Rocky", "8.10", "Green Obsidian"), "rocky", "8.10"),
        (("AlmaLinux", "9.4", "Seafoam Ocelot"), "alma", "9.4"),
        (("OracleLinux", "8.9", "NA"), "oracle", "8.9"),
        (("SLES", "15.5", "5"), "sles", "15-SP5"),
        (("openSUSE Leap", "15.5", ""), "opensuse", "15.5"),
        (("Amazon", "2023", "NA"), "amazon", "2023"),
        (("Debian", "12.5", "bookworm"), "debian", "12.5"),
        (("Fedora", "40", ""), "fedora", "40"),
    ],
)
def test_how_ansible_calls_distributions(
    facts: tuple[str, str, str], distro: str, series: str
) -> None:
    names = ("ansible_distribution", "ansible_distribution_version", "ansible_distribution_release")
    row = dict(zip(names, facts, strict=True)) | {"ansible_kernel": ROCKY}
    entry = only(json.dumps(row))
    assert (entry.fingerprint.distro, entry.series) == (distro, series)


def test_json_lines_of_our_own() -> None:
    text = "\n".join(
        (
            json.dumps({"banner": BANNER, "count": 5}),
            json.dumps({"kernel": ROCKY, "distro": "rocky", "count": "7"}),
            json.dumps({"hostname": "x"}),
            '{"banner": ',
        )
    )
    entries, bad = read(text)
    assert [(entry.fingerprint, entry.count) for entry in entries] == [
        (Fingerprint(banner=BANNER), 5),
        (Fingerprint(release=ROCKY, distro="rocky"), 7),
    ]
    assert [line.where for line in bad] == ["list:3", "list:4"]


ARGUMENTS = "BOOT_IMAGE=/vmlinuz-5.15.0-91-generic root=UUID=1 ro quiet"


@pytest.mark.parametrize(
    "text",
    [
        # osqueryi --csv separates with | unless told otherwise
        f"version|arguments|path|device\n{UBUNTU}|{ARGUMENTS}|/vmlinuz|UUID=1\n",
        f'version,arguments,path\n"{UBUNTU}","{ARGUMENTS}","/vmlinuz"\n',
        f"Host name;Kernel version\nweb1;{UBUNTU}\n",
        f"+------+------+\n| version | path |\n+------+------+\n| {UBUNTU} | / |\n+------+-----+\n",
        f"kernel\n{UBUNTU}\n",
    ],
    ids=["osqueryi --csv", "commas", "spoken header", "osqueryi", "one column"],
)
def test_tables_of_osquery(text: str) -> None:
    assert only(text).fingerprint == Fingerprint(release=UBUNTU)


def test_tables_that_also_tell_the_machine() -> None:
    # SELECT * FROM kernel_info, os_version has two columns called version
    text = (
        "version|arguments|name|version|major|minor|platform|codename|arch\n"
        f"{UBUNTU}|ro|Ubuntu|22.04.3 LTS (Jammy Jellyfish)|22|4|ubuntu|jammy|x86_64\n"
        "5.15|ro\n"
    )
    (entry,), (bad,) = read(text)
    assert entry.fingerprint == Fingerprint(release=UBUNTU, machine="x86_64", distro="ubuntu")
    assert entry.series == "22.04" and bad.where == "list:3"

    text = f"count,kernel_version,platform,os_version\n40,{UBUNTU},ubuntu,22.04\n"
    entry = only(text)
    assert (entry.count, entry.fingerprint.distro, entry.series) == (40, "ubuntu", "22.04")


def test_a_log_line_of_osqueryd() -> None:
    line = {
        "name": "pack_fleet_kernel",
        "hostIdentifier": "web1",
        "columns": {"version": UBUNTU, "arguments": ARGUMENTS},
        "action": "added",
    }
    assert only(json.dumps(line)).fingerprint == Fingerprint(release=UBUNTU)


def test_the_most_used_come_first_and_equal_ones_are_one() -> None:
    text = f"2 {BANNER}\n3 {debian(10).banner}\n4 {BANNER}\nubuntu 20.04 {UBUNTU}\nubuntu {UBUNTU}"
    entries, _ = read(text)
    assert [(entry.count, entry.where) for entry in merge(entries)] == [
        (6, "list:1"),
        (3, "list:2"),
        (1, "list:4"),
        (1, "list:5"),
    ]


@pytest.mark.parametrize("text", ["", "\n\n", "[]", "{}", "null", '{"a": {"a": {"a": 1}}}'])
def test_what_says_nothing_asks_for_nothing(text: str) -> None:
    assert not read(text)[0]


def test_half_a_character_is_no_fault() -> None:
    entry = only(json.dumps({"banner": f"{BANNER} \ud800"}))
    assert (entry.fingerprint.banner or "").encode()


def test_what_nests_without_end_is_no_fault() -> None:
    entries, bad = read("[" * 100_000)
    assert not entries and bad
