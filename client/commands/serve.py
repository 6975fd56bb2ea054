"""`kernsym serve`: hands over to the server."""

from __future__ import annotations

import os
import sys

import click

from kernsym.client.options import global_options, pass_settings
from kernsym.client.settings import Settings


@click.command()
@click.option("--listen", metavar="HOST:PORT", help="Listen here [127.0.0.1:8002].")
@click.option(
    "--workers", metavar="N", type=click.IntRange(1, 64), help="Processes that answer [1]."
)
@global_options
@pass_settings
def serve(settings: Settings, listen: str | None, workers: int | None) -> None:
    """Run the server.

    It serves the store to debuginfod clients and to `kernsym --server`.  Writes need the token in
    KERNSYM_TOKEN, or in the file that `token_file` in the configuration names.
    """
    command = [sys.executable, "-m", "kernsym.server", "--store", str(settings.store_folder())]
    if listen:
        command += ["--listen", listen]
    if workers:
        command += ["--workers", str(workers)]
    if config := settings.config_file():
        command += ["--config", str(config)]
    if settings.offline:
        command.append("--offline")
    if settings.verbose:
        command.append("--verbose")
    os.chdir("/")  # nothing in the working directory shall pass for a Python module
    os.execv(sys.executable, command)
