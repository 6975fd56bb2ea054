"""Packs the files of a Debian kernel package as RPMs, one for each kind of payload."""

from __future__ import annotations

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
Version: 1
Release: 1
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


def unpack_some(package: Path, tree: Path, most_bytes: int) -> None:
    """Unpacks the package's files below `tree`, as many modules as fit beside vmlinux."""
    tree.mkdir()
    subprocess.run(["dpkg-deb", "-x", package, tree], check=True)
    size = 0
    files = [path for path in tree.rglob("*") if path.is_file() and not path.is_symlink()]
    for path in sorted(files, key=lambda path: "vmlinux" not in path.name):
        size += path.stat().st_size
        if size > most_bytes:
            path.unlink()


def build(tree: Path, folder: Path) -> dict[str, Path]:
    """The RPMs of all files of `tree`, by their kind of payload."""
    built = {}
    for title, payload in PAYLOADS.items():
        top = folder / payload
        top.mkdir()
        spec = top / "kernel.spec"
        spec.write_text(_SPEC.format(payload=payload, tree=tree))
        command = ["rpmbuild", "--quiet", "-bb", "--define", f"_topdir {top}", str(spec)]
        subprocess.run(command, check=True, capture_output=True)
        built[title] = next((top / "RPMS").rglob("*.rpm"))
    return built
