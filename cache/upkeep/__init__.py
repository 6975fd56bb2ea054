"""Keeps a store within its limits, and whole."""

from kernsym.cache.upkeep.collection import (
    Collected,
    CollectRequest,
    Kept,
    Removed,
    collect,
    line_of,
)
from kernsym.cache.upkeep.limits import Limits, parse_age, parse_size, read_limits
from kernsym.cache.upkeep.report import KernelUsage, StoreUsage, store_usage
from kernsym.cache.upkeep.room import Room

__all__ = [
    "CollectRequest",
    "Collected",
    "Kept",
    "KernelUsage",
    "Limits",
    "Removed",
    "Room",
    "StoreUsage",
    "collect",
    "line_of",
    "parse_age",
    "parse_size",
    "read_limits",
    "store_usage",
]
