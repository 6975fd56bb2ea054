"""What the C library's allocator does with memory that is free again."""

from __future__ import annotations

import ctypes

_M_MMAP_THRESHOLD = -3  # <malloc.h>
# Bytes.  What is unpacked and sent comes in pieces of a megabyte.  asyncio makes room for 256 kB
# whenever it reads from a connection: to map that anew for each request costs 15 us.
_THRESHOLD = 512 << 10


def give_memory_back() -> None:
    """Give large pieces back to the system as soon as they are free; see mallopt(3).

    Left alone, glibc raises the threshold to the largest piece it has seen and keeps them: a server
    that has unpacked Debian's package and sources then held 320 MB, with this 110.
    """
    if (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:  # musl has none
        mallopt(_M_MMAP_THRESHOLD, _THRESHOLD)
