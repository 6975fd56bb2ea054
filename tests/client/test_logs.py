"""Which boot of a log counts, and when a text is a list of banners instead."""

from __future__ import annotations

import pytest

from kernsym.client.answers import answer_text, answers_of_text, as_json, lines_of
from kernsym.client.logs import as_log, find_boots
from kernsym.distros import Outcome


def debian(version: str) -> str:
    return (
        f"Linux version 6.1.0-{version}-amd64 (debian-kernel@lists.debian.org) (gcc-12 (Debian "
        f"12.2.0-14) 12.2.0, GNU ld 2.40) #1 SMP PREEMPT_DYNAMIC Debian 6.1.{version}-1 "
        "(2024-02-01)"
    )


OLD, NEW = debian("18"), debian("26")
PLAIN = "Command line: BOOT_IMAGE=/boot/vmlinuz root=/dev/sda1 ro quiet crashkernel=256M"
CAPTURE = "Command line: BOOT_IMAGE=/boot/vmlinuz root=/dev/sda1 irqpoll elfcorehdr=0x7d000000"
SYSTEMD_CAPTURE = "Command line: root=/dev/sda1 systemd.unit=kdump-tools-dump.service"


def boot(banner: str, command_line: str = PLAIN, prefix: str = "[    0.000000] ") -> list[str]:
    """The first lines of a boot, and some of its later ones."""
    lines = [banner, command_line, "BIOS-provided physical RAM map:", "usb 1-1: new device"]
    return [prefix + line for line in lines]


def test_the_kernel_that_booted_last_counts_and_the_others_are_named() -> None:
    lines = [*boot(OLD), *boot(OLD), *boot(NEW)]
    (answer,) = answers_of_text("messages", "\n".join(lines))
    assert answer.source == "messages:9" and answer.banner == NEW
    assert len(answer.passed_over) == 1 and OLD in answer.passed_over[0]
    assert "it booted earlier" in answer.passed_over[0]


@pytest.mark.parametrize("command_line", [CAPTURE, SYSTEMD_CAPTURE])
def test_a_capture_kernel_does_not_count(command_line: str) -> None:
    lines = [*boot(NEW), "Kernel panic - not syncing", *boot(OLD, command_line)]
    (answer,) = answers_of_text("serial", "\n".join(lines))
    assert answer.banner == NEW
    assert "a kdump capture kernel" in answer.passed_over[0]


def test_the_only_kernel_counts_even_if_it_captures() -> None:
    (answer,) = answers_of_text("serial", "\n".join(boot(OLD, CAPTURE)))
    assert answer.banner == OLD and not answer.passed_over


DB1, DB2 = (f"Nov 23 04:00:00 {host} kernel: " for host in ("db1", "db2"))


@pytest.mark.parametrize(
    ("lines", "banners"),
    [
        ([OLD, NEW], [OLD, NEW]),
        ([f"a row\t{OLD}", "# a remark", f"another row\t{NEW}"], [OLD, NEW]),
        ([*boot(OLD, prefix=DB1), *boot(NEW, prefix=DB1)], [NEW]),
        ([*boot(OLD, prefix=DB1), *boot(NEW, prefix=DB2)], [OLD, NEW]),
        ([*boot(NEW), "scsi: the firmware needs Linux version 2.6 or newer"], [NEW]),
        ([*boot(OLD), *boot(NEW[:105])], [NEW[:105]]),
        ([NEW[:70], "   " + NEW[70:].strip(), "next", "lines"], [NEW]),
    ],
    ids=["list", "table", "syslog", "two machines", "remark of a driver", "cut", "wrapped"],
)  # fmt: skip
def test_a_text_is_a_log_or_a_list(lines: list[str], banners: list[str]) -> None:
    found = [answer.banner for answer in answers_of_text("file", "\n".join(lines))]
    assert [" ".join((banner or "").split()) for banner in found] == banners


def test_a_text_without_any_kernel() -> None:
    (answer,) = answers_of_text("file", "nothing\nat all\n")
    assert answer.verdict.outcome is Outcome.UNKNOWN and answer.source == "file"
    assert find_boots([]) == () and as_log([], ()) is None


UNAME = (
    "Linux db1 6.1.0-18-amd64 #1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1 (2024-02-01) x86_64 GNU/Linux"
)


@pytest.mark.parametrize(
    ("text", "outcome", "version"),
    [
        (UNAME, Outcome.IDENTIFIED, "6.1.76-1"),
        (f"$ uname -a: {UNAME}", Outcome.IDENTIFIED, "6.1.76-1"),
        ("6.1.0-18-amd64", Outcome.AMBIGUOUS, None),
        (UNAME.removesuffix(" GNU/Linux"), Outcome.IDENTIFIED, "6.1.76-1"),
        ("linux-image-6.1.0-18-amd64-dbg_6.1.76-1_amd64.deb", Outcome.IDENTIFIED, "6.1.76-1"),
        ("linux-image-6.1.0-18-amd64_6.1.76-1_amd64.deb", Outcome.IDENTIFIED, "6.1.76-1"),
        ("linux-image-6.1.0-18-amd64-dbg_5.10.76-1_amd64.deb", Outcome.UNKNOWN, None),
        ("linux-image-6.1.0-kali5-amd64-dbg_6.1.12-1kali2_amd64.deb", Outcome.UNKNOWN, None),
        ("the kernel is 6.1.0-18-amd64", Outcome.UNKNOWN, None),
        ("", Outcome.UNKNOWN, None),
    ],
)
def test_words_that_stand_for_a_kernel(text: str, outcome: Outcome, version: str | None) -> None:
    verdict = answer_text("-", text).verdict
    assert verdict.outcome is outcome
    assert (verdict.kernel.version if verdict.kernel else None) == version


CRASH = """
      KERNEL: /usr/lib/debug/boot/vmlinux-6.1.0-18-amd64
    DUMPFILE: dump.202402011200  [PARTIAL DUMP]
    NODENAME: db1
     RELEASE: 6.1.0-18-amd64
     VERSION: #1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1 (2024-02-01)
     MACHINE: x86_64  (2400 Mhz)
      MEMORY: 4 GB
"""
TRACES = (
    "CPU: 3 PID: 7 Comm: sh Kdump: loaded Tainted: G           OE      6.1.0-18-amd64 #1  "
    "Debian 6.1.76-1",
    "[   12.3] CPU: 0 UID: 0 PID: 1 Comm: x Not tainted 6.1.0-18-amd64 #1 PREEMPT(lazy)  "
    "Debian 6.1.76-1",
    "Hardware name: QEMU\nCPU: 0 Comm: x Not tainted 5.15.0-91-generic #101~20.04.1-Ubuntu",
    "Pid: 1, comm: init Not tainted 2.6.32-504.8.1.el6.x86_64 #1 VMware, Inc. VMware Virtual",
)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (CRASH, "6.1.76-1"),
        (f"{TRACES[3]}\n{CRASH}", "6.1.76-1"),
        (f"{TRACES[0]}\n", "6.1.76-1"),
        (f"{TRACES[2]}\n{TRACES[1]}\n", "6.1.76-1"),
        (TRACES[2], "5.15.0-91.101~20.04.1"),
    ],
    ids=["crash", "crash before a trace", "tainted", "the last trace", "ubuntu"],
)
def test_a_report_without_a_banner_shows_its_kernel(text: str, version: str) -> None:
    (answer,) = answers_of_text("report", text)
    assert answer.verdict.kernel is not None and answer.verdict.kernel.version == version
    assert answer.banner is None


def test_a_trace_can_leave_several() -> None:
    (answer,) = answers_of_text("report", TRACES[3])
    assert answer.verdict.outcome is Outcome.AMBIGUOUS
    assert answer.verdict.candidates == ("rhel", "centos", "oracle")
    assert answer_text("-", TRACES[3]).verdict.outcome is Outcome.UNKNOWN, "a line without a banner"


def test_every_answer_explains_itself() -> None:
    (answer,) = answers_of_text("log", "\n".join([*boot(OLD), *boot(NEW)]))
    shown = as_json(answer)
    assert "Debian 6.1.26-1" in shown["evidence"] and shown["possible"] == []
    assert [entry["distro"] for entry in shown["rejected"]] == [None]
    labels = [label for label, _ in lines_of(answer)]
    assert labels == ["kernel", *["evidence"] * 3, "seen too", "package", "package"]
