"""`--track`: of a series the newest is brought, and so many are kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kernsym.cache import Bundle
from kernsym.client.preseed.items import Item, State
from kernsym.client.server_api import ServerApi
from kernsym.distros import Kernel, KernsymError
from kernsym.distros.formats.published import age

_THERE = (State.HELD, State.FETCHED)


def remove_older(
    api: ServerApi, items: Sequence[Item], keep: int
) -> Iterator[tuple[Kernel, KernsymError | None]]:
    """Remove what is held of the tracked kernels' series beyond the newest `keep`; each kernel,
    and why it was not removed, if so (it is pinned, the token does not allow it).

    Only when the newest is there, and only what was brought by its name: a kernel that a dump was
    compared with may be needed for it still.
    """
    named = {item.kernel.key for item in items if item.kernel}
    for item in items:
        if item.kernel is None or item.state not in _THERE or "--newest" not in item.where:
            continue
        held = [bundle for bundle in api.kernels() if _same_series(bundle.kernel, item.kernel)]
        held.sort(key=lambda bundle: age(bundle.kernel), reverse=True)
        for bundle in held[keep:]:
            if bundle.kernel.key not in named and _by_name(bundle):
                try:
                    api.remove(bundle.kernel)
                    yield bundle.kernel, None
                except KernsymError as error:
                    yield bundle.kernel, error


def _same_series(kernel: Kernel, other: Kernel) -> bool:
    return (kernel.distro, kernel.release, kernel.flavour, kernel.arch) == (
        other.distro,
        other.release,
        other.flavour,
        other.arch,
    )


def _by_name(bundle: Bundle) -> bool:
    return bundle.verification.by == ("package",)
