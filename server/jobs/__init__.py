"""Jobs: bringing a kernel here, once however many ask; they outlive the server that began them."""

from kernsym.server.jobs.board import JobBoard
from kernsym.server.jobs.job import Job
from kernsym.server.jobs.journal import Journal

__all__ = ["Job", "JobBoard", "Journal"]
