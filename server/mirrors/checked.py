"""Which files were found to be what their digests say, so that it is not asked at every use."""

from __future__ import annotations

from pathlib import Path

from kernsym.distros import PackageRef


class CheckedFiles:
    """What this process has compared, and nobody has touched since.

    A change shows in a file's times: nobody but the kernel sets that of its last change (ctime).
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[Path, str], tuple[int, ...]] = {}

    def remember(self, ref: PackageRef, path: Path) -> None:
        """The file at `path` is what `ref` announces."""
        if ref.digest is not None:
            self._seen[path, ref.digest] = _state(path)

    def knows(self, ref: PackageRef, path: Path) -> bool:
        """Whether that was found before, and the file is still the same."""
        return ref.digest is not None and self._seen.get((path, ref.digest)) == _state(path)


def _state(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
