"""A file that the store holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from kernsym.cache.bundle import Bundle, BundleFile
from kernsym.distros import KernsymError


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A file that the store holds: the key of its kernel, its entry there, its absolute path."""

    key: str
    file: BundleFile
    path: Path
    read: Callable[[], Bundle | None] = field(repr=False, compare=False)

    @property
    def bundle(self) -> Bundle:
        """The manifest that names it, read when it is asked for.

        Raises `KernsymError` (`not-held`) when the kernel was removed meanwhile.
        """
        bundle = self.read()
        if bundle is None:
            raise KernsymError("not-held", f"the kernel {self.key} is no longer held")
        return bundle
