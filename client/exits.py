"""Exit statuses, in one table: the only file of the client that knows a number."""

from __future__ import annotations

from kernsym.distros import KernsymError

DONE = 0
FAULT = 1
NOT_IDENTIFIED = 3
NOT_PUBLISHED = 4
COULD_NOT_FIND_OUT = 5
REFUSED = 6
INTERRUPTED = 130

_STATUS_OF_KIND = {
    "fault": FAULT,
    "unusable": 2,
    "not-identified": NOT_IDENTIFIED,
    "not-published": NOT_PUBLISHED,
    "could-not-find-out": COULD_NOT_FIND_OUT,
    "refused": REFUSED,
}
# A file that is there and shows no kernel is an answer about the dump, not a slip of usage.
_STATUS_OF_CODE = {
    "dump-damaged": NOT_IDENTIFIED,
    "dump-empty": NOT_IDENTIFIED,
    "dump-foreign": NOT_IDENTIFIED,
    "dump-incomplete": NOT_IDENTIFIED,
    "dump-is-text": NOT_IDENTIFIED,
    "dump-no-kernel": NOT_IDENTIFIED,
    "dump-truncated": NOT_IDENTIFIED,
    "not-held": NOT_PUBLISHED,
    # The server lacks a credential of ours, as a mirror may.
    "role-missing": COULD_NOT_FIND_OUT,
    "token-invalid": COULD_NOT_FIND_OUT,
    "token-required": COULD_NOT_FIND_OUT,
}


def exit_status(error: KernsymError) -> int:
    """What the process exits with because of an error."""
    return _STATUS_OF_CODE.get(error.code, _STATUS_OF_KIND.get(error.kind, FAULT))
