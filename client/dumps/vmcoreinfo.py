"""VMCOREINFO: the `KEY=VALUE` lines that the kernel leaves for dump tools (kernel/crash_core.c)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

START = b"OSRELEASE="  # vmcoreinfo_append_str("OSRELEASE=%s\n") comes first in every version
LIMIT = 1 << 16  # VMCOREINFO_BYTES is one page; pages have up to 64 KiB

_LINE = re.compile(r"[A-Za-z_][\w().\[\]-]*=[^%]*", re.ASCII)  # % is of a format string
_BUILD_ID = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class VmcoreInfo:
    """`text` as it was found, to the last whole line; `values` by key (`SYMBOL(_stext)`)."""

    text: str
    values: Mapping[str, str]

    @property
    def release(self) -> str:
        return self.values["OSRELEASE"]

    @property
    def build_id(self) -> str | None:
        """Lower-case hex; kernels since 5.9 have it."""
        found = self.values.get("BUILD-ID", "").lower()
        return found if _BUILD_ID.fullmatch(found) else None

    @property
    def kaslr_offset(self) -> int | None:
        return _integer(self.values.get("KERNELOFFSET"), 16)

    @property
    def phys_base(self) -> int | None:
        """x86-64 since 4.10; may be negative."""
        return self.number("phys_base")

    @property
    def arch(self) -> str | None:
        """As `uname -m` spells it, by the keys that only one architecture writes."""
        for arch, keys in _ARCH_KEYS.items():
            if any(key in self.values for key in keys):
                return arch
        return None

    def symbol(self, name: str) -> int | None:
        """A virtual address, KASLR included."""
        return _integer(self.values.get(f"SYMBOL({name})"), 16)

    def number(self, name: str) -> int | None:
        """Decimal, or hex with 0x: the kernel prints both ways."""
        value = self.values.get(f"NUMBER({name})", "")
        return _integer(value, 16 if value.startswith("0x") else 10)

    def offset(self, name: str) -> int | None:
        return _integer(self.values.get(f"OFFSET({name})"), 10)


_ARCH_KEYS = {  # arch/*/kernel/*crash_core*.c, machine_kexec*.c
    "x86_64": ("NUMBER(phys_base)", "SYMBOL(init_top_pgt)", "SYMBOL(init_level4_pgt)"),
    "riscv64": ("NUMBER(va_kernel_pa_offset)", "NUMBER(phys_ram_base)"),
    "aarch64": ("NUMBER(kimage_voffset)", "NUMBER(TCR_EL1_T1SZ)", "NUMBER(tcr_el1_t1sz)"),
    "s390x": ("SYMBOL(lowcore_ptr)",),
}


def parse(data: bytes) -> VmcoreInfo | None:
    """VMCOREINFO at the beginning of `data`; None when it is none.

    The text ends at the first byte that is not text.  The kernel's format strings
    (`OSRELEASE=%s`, `BUILD-ID=%20phN`) look alike and are refused, as is a text too short to
    be the real thing.
    """
    if not data.startswith(START):
        return None
    text = re.split(rb"[^\n\x20-\x7e]", data[:LIMIT], maxsplit=1)[0].decode("ascii")
    lines = text[: text.rfind("\n") + 1].splitlines()
    good = []
    for line in lines:
        if not _LINE.fullmatch(line):
            break
        good.append(line)
    values = dict(line.split("=", 1) for line in good)
    if not values.get("OSRELEASE") or "PAGESIZE" not in values or len(values) < 4:
        return None
    return VmcoreInfo(text="\n".join(good) + "\n", values=MappingProxyType(values))


def _integer(text: str | None, base: int) -> int | None:
    # Bounded: int() of thousands of digits is slow, and no field has more than 64 bits.
    if text is None or len(text) > 24:
        return None
    try:
        return int(text, base)
    except ValueError:
        return None
