"""VMCOREINFO's text: values, and what only looks like it."""

from __future__ import annotations

import pytest

from kernsym.client.dumps.kernel_image import physical
from kernsym.client.dumps.vmcoreinfo import parse
from tests.client.dumps import writers

TEXT = writers.vmcoreinfo()
FORMATS = b"OSRELEASE=%s\nBUILD-ID=%20phN\nPAGESIZE=%ld\nSYMBOL(%s)=%lx\nKERNELOFFSET=%lx\n"


def test_values() -> None:
    info = parse(TEXT + b"\0garbage")
    assert info is not None
    assert info.text == TEXT.decode()
    assert (info.release, info.build_id) == (writers.RELEASE, writers.BUILD_ID)
    assert (info.kaslr_offset, info.phys_base) == (writers.KASLR, writers.PHYS_BASE)
    assert (info.arch, info.offset("uts_namespace.name")) == ("x86_64", 0)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(FORMATS, id="the kernel's format strings"),
        pytest.param(b"OSRELEASE=6.1.0\0", id="too short"),
        pytest.param(b"OSRELEASE=%s\n\0BUILD-ID=%20phN\n", id="a format alone"),
        pytest.param(TEXT[10:], id="another beginning"),
        pytest.param(TEXT.replace(b"PAGESIZE", b"PAGES"), id="no page size"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_refused(data: bytes) -> None:
    assert parse(data) is None


@pytest.mark.parametrize(
    ("changes", "attribute"),
    [
        ({"BUILD-ID": ""}, "build_id"),
        ({"BUILD-ID": "not hex"}, "build_id"),
        ({"KERNELOFFSET": ""}, "kaslr_offset"),
        ({"KERNELOFFSET": "9" * 100}, "kaslr_offset"),
        ({"NUMBER(phys_base)": "0x"}, "phys_base"),
    ],
)
def test_values_that_are_not_there(changes: dict[str, str], attribute: str) -> None:
    info = parse(writers.vmcoreinfo(**changes))
    assert info is not None
    assert getattr(info, attribute) is None


@pytest.mark.parametrize(
    ("arch", "extra", "address", "expected"),
    [
        ("x86_64", {"NUMBER(phys_base)": "-4096"}, 0xFFFFFFFF81000000, 0x1000000 - 4096),
        (
            "aarch64",
            {"NUMBER(kimage_voffset)": "0xffff7fffc8000000"},
            0xFFFF800008010000,
            0x40010000,
        ),
        (
            "riscv64",
            {"NUMBER(va_kernel_pa_offset)": "0xffffffff00000000"},
            0xFFFFFFFF80200000,
            0x80200000,
        ),
        ("ppc64le", {}, 0xC000000000010000, 0x10000),
        ("s390x", {}, 0x100000, 0x100000),
        ("x86_64", {"NUMBER(phys_base)": "-4096"}, 0x1000, None),
        ("sparc64", {}, 0x1000, None),
    ],
)
def test_physical(arch: str, extra: dict[str, str], address: int, expected: int | None) -> None:
    info = parse(writers.vmcoreinfo(**extra))
    assert info is not None
    assert physical(info, address, arch, None) == expected


def test_phys_base_of_the_headers_serves_old_kernels() -> None:
    info = parse(writers.vmcoreinfo(**{"NUMBER(phys_base)": ""}))
    assert info is not None
    assert physical(info, 0xFFFFFFFF81000000, "x86_64", 0x2000000) == 0x3000000
