"""What can go wrong, said once: a stable code, a sentence, the context, the next thing to try.

    KernsymError
    ├── NotIdentified     the evidence does not name one published kernel
    ├── NotPublished      every source was asked and none has it: may be remembered
    ├── CouldNotFindOut   network, credentials, a broken index: must never be remembered
    ├── Refused           what came is wrong: digest, signature, banner, build ID
    └── Unusable          the input, the machine or the configuration needs mending

The classes are the outcomes that callers tell apart; the code says which case it was.  HTTP
statuses are known to `server/problems.py` alone, exit statuses to `client/exits.py` alone; both
go by the class, whose `kind` travels in the problem document.
"""

from __future__ import annotations


class KernsymError(Exception):
    """An error that a person will read.

    `code` is kebab-case and stable.  `context` holds lines of detail (what was asked, where it
    was looked for), `hint` the next thing to try.  None of them may carry a secret.
    """

    kind = "fault"

    def __init__(
        self, code: str, message: str, *, context: tuple[str, ...] = (), hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.context = context
        self.hint = hint

    def __str__(self) -> str:
        return self.message


class NotIdentified(KernsymError):
    """The evidence does not name one published kernel."""

    kind = "not-identified"


class NotPublished(KernsymError):
    """Every source answered, and none of them publishes it."""

    kind = "not-published"


class CouldNotFindOut(KernsymError):
    """At least one source could not be asked, so nothing is known."""

    kind = "could-not-find-out"


class Refused(KernsymError):
    """What came is not what was asked for."""

    kind = "refused"


class Unusable(KernsymError):
    """The input, the machine or the configuration needs mending first."""

    kind = "unusable"


KINDS: dict[str, type[KernsymError]] = {
    cls.kind: cls
    for cls in (KernsymError, NotIdentified, NotPublished, CouldNotFindOut, Refused, Unusable)
}
