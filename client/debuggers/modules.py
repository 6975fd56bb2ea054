"""Which modules were loaded when the dump was taken, with their build IDs, listed by drgn."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

from kernsym.client.dumps.reader import DumpFacts
from kernsym.distros import Unusable

_MOST_SECONDS = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModule:
    """A module of the dumped kernel.

    `name` is the kernel's own spelling, `address` virtual, `size` in bytes.  `build_id` is None
    where the dump does not show it, `taints` the letters that the kernel prints (`OE`).
    """

    name: str
    build_id: str | None
    address: int
    size: int
    taints: str = ""


# kernel/panic.c, taint_flags: bit 0 is P, and so on.
_TAINTS = "PFSRMBUDAWCIOELKXTNJ"


def taint_letters(bits: int) -> str:
    """The letters of `struct module.taints`.

    >>> taint_letters(1 << 12 | 1 << 13)
    'OE'
    """
    return "".join(letter for bit, letter in enumerate(_TAINTS) if bits >> bit & 1)


def loaded_modules(facts: DumpFacts, vmlinux: Path) -> tuple[LoadedModule, ...]:
    """The loaded modules, in the kernel's order; takes about a second.

    drgn runs in a process of its own: it maps all of vmlinux, and a damaged dump can send native
    code astray or round in circles.  Raises `Unusable` (`modules-unlisted`) when it cannot tell.
    """
    arch, vmcoreinfo = facts.fingerprint.arch, facts.fingerprint.vmcoreinfo
    if not vmcoreinfo:
        raise _unlisted("the dump holds no VMCOREINFO")
    command = [sys.executable, "-m", "kernsym.client.debuggers.drgn_modules"]
    command += [str(Path(facts.path).absolute()), str(vmlinux.absolute()), arch or ""]
    try:
        # In the root folder, so that nothing beside the dump can pass for a Python module.
        done = subprocess.run(
            command,
            input=vmcoreinfo.encode(),
            capture_output=True,
            timeout=_MOST_SECONDS,
            cwd="/",
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _unlisted(f"drgn was still at it after {_MOST_SECONDS:.0f} seconds") from None
    if done.returncode < 0:
        raise _unlisted(f"drgn was ended by signal {-done.returncode}")
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise _unlisted(lines[-1] if lines else f"drgn ended with {done.returncode}")
    return msgspec.json.decode(done.stdout, type=tuple[LoadedModule, ...])


def _unlisted(why: str) -> Unusable:
    return Unusable(
        "modules-unlisted",
        f"the loaded modules cannot be listed from the dump: {why}",
        hint="crash's own list of modules is used instead",
    )
