"""What the server says while it runs, as text or as JSON: one line a request, and the others."""

from __future__ import annotations

import json
import logging
import sys
import time
from contextvars import ContextVar
from typing import Literal, TextIO

from kernsym.distros import KernsymError

LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")

_FIELDS = ("kernel", "job")  # what a line may be about, beside the request: its `extra`
_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def start_logging(form: LogFormat, level: LogLevel, stream: TextIO | None = None) -> LineHandler:
    """Send what this process logs to `stream` (standard error), in place of where it went."""
    handler = LineHandler(stream or sys.stderr, form)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    return handler


def complain(log: logging.Logger, what: str, error: KernsymError) -> None:
    """Log an error that changes nothing: `what` says what stays."""
    log.error("%s: %s", what, "; ".join((error.message, *error.context)))


def report(error: KernsymError) -> None:
    """Show an error that ends the process, as the command line shows errors."""
    print(f"error[{error.code}]: {error.message}", *error.context, sep="\n  ", file=sys.stderr)
    if error.hint:
        print(f"hint: {error.hint}", file=sys.stderr)


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes lines.  Those that can wait are written several at a time, before the next other."""

    def __init__(self, stream: TextIO, form: LogFormat) -> None:
        super().__init__(stream)
        self.form = form
        self.setFormatter(JsonFormatter() if form == "json" else TextFormatter(_TEXT))
        self._waiting: list[str] = []

    def later(self, line: str) -> int:
        """Keep a line for the next `flush`; returns how many wait."""
        self._waiting.append(line)
        return len(self._waiting)

    def emit(self, record: logging.LogRecord) -> None:
        self._write_waiting()
        super().emit(record)

    def flush(self) -> None:
        self.acquire()
        try:
            self._write_waiting()
            super().flush()
        finally:
            self.release()

    def _write_waiting(self) -> None:
        lines = self._waiting[:]  # another thread may add to it at any moment
        if lines:
            del self._waiting[: len(lines)]
            self.stream.write("".join(lines))


class TextFormatter(logging.Formatter):
    """`TIME LEVEL LOGGER: MESSAGE`, then what it is about as `key=value`."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return utc(record.created)

    def formatMessage(self, record: logging.LogRecord) -> str:
        return " ".join(
            (super().formatMessage(record), *(f"{key}={value}" for key, value in _about(record)))
        )


class JsonFormatter(logging.Formatter):
    """An object a line: time, level, logger, message, what it is about, and `error`."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": utc(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **dict(_about(record)),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False).encode(errors="backslashreplace").decode()


def _about(record: logging.LogRecord) -> list[tuple[str, str]]:
    fields = [(key, str(getattr(record, key))) for key in _FIELDS if hasattr(record, key)]
    request = REQUEST_ID.get()
    return [*fields, ("request", request)] if request else fields


def utc(seconds: float) -> str:
    """A moment in seconds since the epoch, to the millisecond.

    >>> utc(0.5)
    '1970-01-01T00:00:00.500Z'
    """
    clock = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{clock}.{int(seconds * 1000) % 1000:03d}Z"
