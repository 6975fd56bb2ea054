"""Lists a dump's loaded modules with drgn, over our own readers; run by `modules.py`.

python -m kernsym.client.debuggers.drgn_modules DUMP VMLINUX ARCH < VMCOREINFO > JSON
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from kernsym.client.debuggers.modules import LoadedModule, taint_letters
from kernsym.client.dumps import open_dump
from kernsym.client.dumps.reader import DumpReader

if TYPE_CHECKING:
    from drgn import Platform, Program, RelocatableModule

_MOST_MODULES = 20_000  # a list that goes round in circles


def list_modules(
    reader: DumpReader, vmcoreinfo: bytes, vmlinux: Path, arch: str
) -> Iterator[LoadedModule]:
    """The loaded modules as the kernel's list has them.

    Raises whatever drgn raises, and `ValueError` where it left modules out: what it cannot read it
    only writes to its log.
    """
    import drgn

    program = drgn.Program(_platform(arch))
    # vmlinux was chosen and checked; drgn must not look for another one, here or on the network.
    program.set_enabled_debug_info_finders([])
    program.set_linux_kernel_custom(vmcoreinfo, False)
    for segment in reader.segments():
        program.add_memory_segment(
            segment.address,
            segment.size,
            lambda address, count, offset, physical: reader.read(address, count),
            physical=True,
        )
    program.load_debug_info([vmlinux], main=False)
    if program.main_module().debug_file_path is None:
        raise ValueError(f"{vmlinux} is not of this dump, or has no debug information")
    modules = (module for module, _ in program.loaded_modules())
    loadable = (module for module in modules if isinstance(module, drgn.RelocatableModule))
    listed = 0
    for listed, module in enumerate(loadable, start=1):
        if listed > _MOST_MODULES:
            raise ValueError(f"the list of modules does not end after {_MOST_MODULES}")
        yield _describe(module)
    if listed != (there := _count(program)):
        raise ValueError(f"drgn can read {listed} of {there} modules")


def _count(program: Program) -> int:
    """How many modules the kernel's list has.  Raises `drgn.FaultError`."""
    from drgn.helpers.linux.module import for_each_module

    if "modules" not in program:  # a kernel that cannot load any
        return 0
    return sum(1 for _ in itertools.islice(for_each_module(program), _MOST_MODULES))


def _describe(module: RelocatableModule) -> LoadedModule:
    fields = module.object
    has_taints = any(member.name == "taints" for member in fields.type_.type.members or ())
    return LoadedModule(
        name=module.name,
        build_id=module.build_id.hex() if module.build_id else None,
        address=module.address,
        size=sum(end - start for start, end in module.address_ranges or ()),
        taints=taint_letters(int(fields.taints)) if has_taints else "",
    )


def _platform(arch: str) -> Platform:
    """drgn's platform for a machine as `uname -m` spells it.  Raises `ValueError`."""
    from drgn import Architecture, Platform, PlatformFlags

    architectures = {
        "x86_64": Architecture.X86_64,
        "i686": Architecture.I386,
        "aarch64": Architecture.AARCH64,
        "armv7l": Architecture.ARM,
        "ppc64": Architecture.PPC64,
        "ppc64le": Architecture.PPC64,
        "riscv64": Architecture.RISCV64,
        "s390x": Architecture.S390X,
    }
    if arch not in architectures:
        raise ValueError(f"drgn does not know the machine {arch or 'of this dump'}")
    if arch == "ppc64":  # the default is ppc64le
        return Platform(Architecture.PPC64, PlatformFlags.IS_64_BIT)
    return Platform(architectures[arch])


def main() -> int:
    path, vmlinux, arch = sys.argv[1:]
    try:
        reader = open_dump(Path(path))
        modules = tuple(list_modules(reader, sys.stdin.buffer.read(), Path(vmlinux), arch))
    except Exception as error:  # every failure becomes the parent's one sentence
        print(" ".join(str(error).split()) or type(error).__name__, file=sys.stderr)
        return 1
    sys.stdout.buffer.write(msgspec.json.encode(modules))
    return 0


if __name__ == "__main__":
    sys.exit(main())
