"""What the log says of kernels, or parts of them, that the store gave up."""

from __future__ import annotations

import logging

from kernsym.cache.upkeep import Collected, line_of

log = logging.getLogger(__name__)


def log_collected(collected: Collected) -> None:
    """A line for each thing that was removed, and one when that was not enough."""
    for one in collected.removed:
        log.info("removed %s", line_of(one), extra={"kernel": one.kernel})
    if collected.lacking:
        kept = "; ".join(map(line_of, collected.kept))
        log.warning("the store exceeds its limits: %s; stays: %s", collected.why, kept)
