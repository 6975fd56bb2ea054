"""`python -m kernsym.server`: the shared server, or a client's embedded one."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import signal
import sys
from dataclasses import replace
from pathlib import Path

import msgspec

from kernsym.cache import read_config, store_folder
from kernsym.distros import KernsymError
from kernsym.server.app import build_app
from kernsym.server.config import ServerConfig, asking_first, server_config
from kernsym.server.process.listening import allow_many_files, listening_sockets, url_of
from kernsym.server.process.processes import run_server
from kernsym.server.process.serving import serve, stop_at
from kernsym.server.watch.logs import report, start_logging

_CLIENT_WAITS = 1.0


def main() -> int:
    """Serve until told to stop.  Exit: 0 stopped, 1 could not start."""
    arguments = _parser().parse_args()
    try:
        if arguments.embedded:
            asyncio.run(_embedded(arguments))
        else:
            _shared(arguments)
    except KernsymError as error:
        report(error)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kernsym serve", description=__doc__)
    parser.add_argument("--store", type=Path, help="the store's folder [KERNSYM_STORE]")
    parser.add_argument("--config", type=Path, help="kernsym.toml [KERNSYM_CONFIG]")
    parser.add_argument("--listen", metavar="HOST:PORT", help="[127.0.0.1:8002]")
    parser.add_argument("--workers", type=int, metavar="N", help="processes that answer [1]")
    parser.add_argument("--offline", action="store_true", help="ask no source of packages")
    parser.add_argument("--packages", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--embedded", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("-v", "--verbose", action="store_true")
    return parser


def _config(arguments: argparse.Namespace, listen: str | None, token: str | None) -> ServerConfig:
    table = read_config(arguments.config)
    return server_config(
        table,
        store=store_folder(arguments.store, table),
        listen=listen,
        token=token,
        offline=arguments.offline,
        workers=arguments.workers,
        log_level="debug" if arguments.verbose else None,
    )


def _shared(arguments: argparse.Namespace) -> None:
    """Serve a team, until a signal."""

    def read() -> ServerConfig:
        token = os.environ.get("KERNSYM_TOKEN")
        return replace(_config(arguments, arguments.listen, token), keeps_jobs=True)

    config = read()
    lines = start_logging(config.options.log_format, config.options.log_level)
    allow_many_files()
    run_server(config, listening_sockets(config), read, lines)


async def _embedded(arguments: argparse.Namespace) -> None:
    """Serve one client, which writes a token to standard input, until that ends."""
    start_logging("text", "info" if arguments.verbose else "warning")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C at the terminal is the client's
    token = sys.stdin.readline().strip() or secrets.token_urlsafe(24)
    config = _config(arguments, "127.0.0.1:0", token)
    alone = msgspec.structs.replace(
        config.options,
        shutdown_seconds=_CLIENT_WAITS,
        requests_per_second=0,
        large_answers=0,
        tls_cert=None,
        tls_key=None,
    )
    config = replace(config, tokens_file=None, token_for_reads=True, options=alone)
    if arguments.packages is not None:
        config = asking_first(config, arguments.packages)
    stopped = asyncio.Event()
    stop_at(stopped, signal.SIGTERM)
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), stopped.set)
    sockets = listening_sockets(config)
    await serve(
        build_app(config),
        config,
        sockets,
        started=lambda: print(json.dumps({"url": url_of(sockets[0])}), flush=True),
        stopped=stopped,
    )


if __name__ == "__main__":
    sys.exit(main())
