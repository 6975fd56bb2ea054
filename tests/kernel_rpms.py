"""Packs the files of a Debian kernel package as Fedora packs its kernels, once for each kind of
payload: vmlinux last, with a banner that fits, the modules under Fedora's paths."""

from __future__ import annotations

import mmap
import re
import shutil
import subprocess
from pathlib import Path

PAYLOADS = {  # as rpmbuild names them
    "xz, one block": "w2.xzdio",
    "xz, blocks": "w2T2.xzdio",
    "zstd": "w3.zstdio",
    "gzip": "w6.gzdio",
}
_SPEC = """\
Name: kernel-debuginfo
Version: {version}
Release: {release}
Summary: x
License: GPL-2.0
AutoReqProv: no
%define debug_package %{{nil}}
%define __os_install_post %{{nil}}
%define _build_id_links none
%define _binary_payload {payload}
%description
x
%install
cp -al {tree}/. %{{buildroot}}/
%files
/usr
"""


_VERSION, _RELEASE, _ARCH = "6.1.0", "1.fc38", "x86_64"
_UNAME = f"{_VERSION}-{_RELEASE}.{_ARCH}"
_BANNER = (
    f"Linux version {_UNAME} (mockbuild@bkernel01.iad2.fedoraproject.org) (gcc (GCC) 13.0.1"
    "{}, GNU ld version 2.39) #1 SMP PREEMPT_DYNAMIC Mon Jan  2 12:00:00 UTC 2023"
)
_ANY_BANNER = re.compile(rb"Linux version [^%\0\n]*#[0-9][^%\0\n]*(?=\n\0)")


def unpack_some(package: Path, tree: Path, most_bytes: int) -> None:
    """Unpacks the package's files below `tree`, as many modules as fit beside vmlinux."""
    tree.mkdir()
    subprocess.run(["dpkg-deb", "-x", package, tree], check=True)
    files = [path for path in tree.rglob("*") if path.is_file() and not path.is_symlink()]
    size = 0
    modules = tree / "usr/lib/debug/lib/modules" / _UNAME
    modules.mkdir()
    for path in sorted(files, key=lambda path: ("vmlinux" not in path.name, path)):
        size += path.stat().st_size
        if size > most_bytes:
            path.unlink()
        elif path.name.startswith("vmlinux-"):
            _rename(path)
            path.rename(modules / "vmlinux")
        elif path.suffix == ".ko":
            target = modules / Path(*path.relative_to(modules.parent).parts[1:])
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target.with_name(f"{path.name}.debug"))
        else:
            path.unlink()


def build(tree: Path, folder: Path) -> None:
    """Packs all files of `tree` in each way, each in a folder of its own."""
    for payload in PAYLOADS.values():
        top = folder / payload
        top.mkdir()
        spec = top / "kernel.spec"
        values = {"payload": payload, "tree": tree, "version": _VERSION, "release": _RELEASE}
        spec.write_text(_SPEC.format(**values))
        command = ["rpmbuild", "--quiet", "-bb", "--target", _ARCH]
        command += ["--define", f"_topdir {top}", str(spec)]
        subprocess.run(command, check=True, capture_output=True)
        shutil.rmtree(top / "BUILD", ignore_errors=True)


def built(folder: Path) -> dict[str, Path]:
    """The RPMs that `build` made there, by how they are packed."""
    return {title: next((folder / payload).rglob("*.rpm")) for title, payload in PAYLOADS.items()}


def _rename(vmlinux: Path) -> None:
    """Writes another banner in the place of its own, as long with blanks after the compiler."""
    with vmlinux.open("r+b") as file:
        content = mmap.mmap(file.fileno(), 0)
        for at, end in [found.span() for found in _ANY_BANNER.finditer(content)]:
            blanks = end - at - len(_BANNER.format(""))
            content[at:end] = _BANNER.format(" " * blanks).encode()
