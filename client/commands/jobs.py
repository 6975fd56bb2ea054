"""`kernsym jobs`: what a shared server is bringing, and what it brought."""

from __future__ import annotations

import click
import msgspec

from kernsym.cache.messages import JobState, JobStatus
from kernsym.client.bring import tell
from kernsym.client.options import global_options, pass_settings
from kernsym.client.output import size
from kernsym.client.server_api import ServerApi
from kernsym.client.settings import Settings
from kernsym.distros import Unusable


@click.command()
@click.argument("words", nargs=-1, metavar="[ID | cancel ID]")
@global_options
@pass_settings
def jobs(settings: Settings, words: tuple[str, ...]) -> None:
    """List the jobs of a server, follow one to its end, or cancel one.

    A job brings a kernel's symbols or sources.  The newest come first; those that ended are
    remembered for a month.  To follow a job does not keep it going, and Ctrl-C does not end it.
    """
    if settings.server_url() is None:
        raise Unusable(
            "server-needed",
            "only a shared server has jobs to look at",
            hint="name it with --server URL or KERNSYM_URL",
        )
    with settings.api() as api:
        match words:
            case ():
                for job in api.jobs():
                    click.echo(_as_json(job) if settings.json else _row(job))
            case (job_id,):
                _follow(api, job_id, settings)
            case ("cancel", job_id):
                job = api.cancel(job_id)
                settings.reporter().line(job.state.value, f"{job.kernel.key} {job.part.value}")
                if settings.json:
                    click.echo(_as_json(job))
            case _:
                raise click.UsageError("say nothing, the ID of a job, or: cancel ID")


def _follow(api: ServerApi, job_id: str, settings: Settings) -> None:
    """Show the events of a job as they come.  Raises what it failed with."""
    reporter = settings.reporter()
    job = api.job(job_id)
    if not settings.json:
        reporter.line("job", f"{job.kernel.key} {job.part.value}")
    for event in api.events(job_id):
        if settings.json:
            click.echo(msgspec.json.encode(event))
        else:
            tell(event, reporter)
    reporter.end_progress()
    if not settings.json:
        reporter.line("done", _worked(api.job(job_id)))


def _row(job: JobStatus) -> str:
    began = job.created.astimezone().strftime("%Y-%m-%d %H:%M")
    row = f"{job.id}  {began}  {job.state.value:<9}  {job.kernel.key} {job.part.value}"
    last = job.last_event
    if job.state is JobState.QUEUED:
        return f"{row}  {job.ahead or 0} ahead"
    if job.state is JobState.RUNNING and last is not None:
        done = f" {size(last.done)}" if last.done is not None else ""
        return f"{row}  {_worked(job)}  {last.stage}{done}"
    if last is not None and last.problem is not None:
        return f"{row}  {_worked(job)}  {last.problem.title}"
    return f"{row}  {_worked(job)}"


def _worked(job: JobStatus) -> str:
    """How long, and how many bytes came."""
    return f"{job.seconds or 0:.0f} s, {size(job.downloaded)}"


def _as_json(job: JobStatus) -> str:
    return msgspec.json.encode(job).decode()
