"""What the log says of kernels, or parts of them, that the store gave up."""

from __future__ import annotations

import logging

from kernsym.cache.upkeep import Collected, line_of

log = logging.getLogger(__name__)


def log_collected(collected: Collected) -> None:
    """A line for each thing that was removed."""
    for one in collected.removed:
        log.info("removed %s", line_of(one), extra={"kernel": one.kernel})


def log_lacking(collected: Collected) -> None:
    """That removing was not enough, and why."""
    kept = "; ".join(map(line_of, collected.kept))
    log.warning("the store exceeds its limits: %s; stays: %s", collected.why, kept)
