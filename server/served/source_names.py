"""Source files as the DWARF names them, and where that is in the tree."""

from __future__ import annotations

import re

# Debian's kernels are compiled here and name their files from the top of the sources, but
# clients put the folder of the compiler before each name that is not absolute.
_BUILD_FOLDER = re.compile(r"debian/build/build_[^/]+/")


def place_in_tree(name: str, prefix: str, tree: str) -> str:
    """The path below the top of the source tree that a name of the DWARF means.

    `name`: as it came in the request's path, its leading slash lost or not.  `prefix`: the folder
    that the sources lay in when the kernel was made, "" unknown (`Bundle.source_prefix`).  `tree`:
    the path of the source tree in its package: where that is the folder that the DWARF names, as
    with RPMs.  A name from elsewhere (/usr/include) means no file of the kernel.

    >>> place_in_tree("build/linux-5x/linux-5.15.0/fs/exec.c", "/build/linux-5x/linux-5.15.0", "")
    'fs/exec.c'
    """
    plain = normalise(name)
    for folder in (prefix.strip("/"), tree.strip("/")):
        if folder and plain.startswith(f"{folder}/"):
            plain = plain[len(folder) + 1 :]
            break
    inside = _BUILD_FOLDER.match(plain)
    return plain[inside.end() :] if inside else plain


def normalise(name: str) -> str:
    """A path without `//`, `/./`, `/../` and without a leading slash; what would lead out of the
    top ends at it.  As text: links of the machine that compiled it are not ours."""
    kept: list[str] = []
    for part in name.split("/"):
        if part == "..":
            del kept[-1:]
        elif part not in ("", "."):
            kept.append(part)
    return "/".join(kept)
