"""`python -m kernsym.server`: the shared server, or a client's embedded one."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import secrets
import signal
import sys
from dataclasses import replace
from pathlib import Path

from aiohttp import web

from kernsym.cache import read_config, store_folder
from kernsym.distros import KernsymError, Unusable
from kernsym.server.app import build_app
from kernsym.server.config import ServerConfig, server_config

log = logging.getLogger("kernsym.server")


def main() -> int:
    """Serve until told to stop.  Exit: 0 stopped, 1 could not start."""
    arguments = _parser().parse_args()
    logging.basicConfig(
        level=logging.INFO if arguments.verbose or not arguments.embedded else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    try:
        if arguments.embedded:
            # Ctrl-C at the terminal is the client's; the end of standard input ends us.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            token = sys.stdin.readline().strip() or secrets.token_urlsafe(24)
            config = replace(_config(arguments, "127.0.0.1:0", token), token_for_reads=True)
            asyncio.run(_serve(config, embedded=True))
        else:
            token = os.environ.get("KERNSYM_TOKEN")
            config = replace(_config(arguments, arguments.listen, token), keeps_jobs=True)
            asyncio.run(_serve(config, embedded=False))
    except KernsymError as error:
        print(f"error[{error.code}]: {error.message}", *error.context, sep="\n  ", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kernsym serve", description=__doc__)
    parser.add_argument("--store", type=Path, help="the store's folder [KERNSYM_STORE]")
    parser.add_argument("--config", type=Path, help="kernsym.toml [KERNSYM_CONFIG]")
    parser.add_argument("--listen", metavar="HOST:PORT", help="[127.0.0.1:8002]")
    parser.add_argument("--offline", action="store_true", help="ask no source of packages")
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
    )


async def _serve(config: ServerConfig, *, embedded: bool) -> None:
    runner = web.AppRunner(build_app(config), access_log=None if embedded else log)
    await runner.setup()
    try:
        site = web.TCPSite(runner, config.host, config.port, shutdown_timeout=1.0)
        try:
            await site.start()
        except OSError as error:
            raise Unusable(
                "cannot-listen",
                f"cannot listen on {config.host}:{config.port}: {error.strerror}",
                hint="choose another address with --listen HOST:PORT",
            ) from error
        host, port = runner.addresses[0][:2]
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        if embedded:
            print(json.dumps({"url": url}), flush=True)
        else:
            log.info("serving %s at %s", config.store, url)
        await _until_stopped(embedded=embedded)
    finally:
        await runner.cleanup()


async def _until_stopped(*, embedded: bool) -> None:
    """Until a signal, or for the embedded server until the client has gone."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    if embedded:
        loop.add_reader(sys.stdin.fileno(), lambda: stopped.set())
    else:
        loop.add_signal_handler(signal.SIGINT, stopped.set)
    await stopped.wait()


if __name__ == "__main__":
    sys.exit(main())
