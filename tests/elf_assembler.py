"""Real ELF files with symbols and DWARF, by binutils: a kernel's banner, and where symbols lie."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

_SOURCE = """
.section .rodata
.asciz "Linux version %s (%s)\\n"
.asciz "{banner}\\n"
.text
.globl _start
_start: .skip 16
{symbols}
"""


def run(folder: Path, *command: str) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)


def assemble(folder: Path, banner: str, *, gaps: Mapping[str, int], build_id: str = "none") -> Path:
    """A vmlinux in a folder that is made.  `gaps`: symbols in their order, each with the bytes up
    to the next one.  `build_id`: as ld's option has it, `0x...` or none."""
    folder.mkdir(parents=True)
    symbols = "".join(f".globl {name}\n{name}: .skip {gap}\n" for name, gap in gaps.items())
    (folder / "head.s").write_text(_SOURCE.format(banner=banner, symbols=symbols))
    run(folder, "as", "-g", "-o", "head.o", "head.s")
    run(folder, "ld", f"--build-id={build_id}", "-o", "vmlinux", "head.o")
    return folder / "vmlinux"
