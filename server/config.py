"""The server's configuration as one value; see docs/configure.md for its keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from kernsym.cache.upkeep import Limits, read_limits
from kernsym.distros import Source, Unusable, catalog
from kernsym.server.mirrors.credentials import CONFIGURED, Access
from kernsym.server.watch.logs import LogFormat, LogLevel

_DEFAULT_LISTEN = "127.0.0.1:8002"


Amount = Annotated[int, msgspec.Meta(ge=0)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[server]`, as the file has it; what needs no more than to be read is used from here.

    `max_jobs`: how many kernels are downloaded and unpacked at once.
    `workers`: processes that answer; with more than one, another one does what is to be done.
    `tokens_file`: see `kernsym token`.  `tls_cert`, `tls_key`: PEM files, one may hold both.
    `trusted_proxies`: addresses and networks whose
    X-Forwarded-For is believed.  `requests_per_second` of one client, and `requests_burst` after it
    was quiet; 0: any number.  `large_answers`: how many of more than 8 MB are sent at once; 0: any
    number.
    `least_free_mb`: with less room on the store's disk the server is not ready.
    `idle_seconds`: how long a connection may bring no request, or only part of one's head.
    `stall_seconds`: how long the reader of an answer may take nothing of it.
    `shutdown_seconds`: how long running answers may take when the server is told to stop.
    `memory_mb`: of each process, for small files that are hot.
    `encoded_mb`: on the disk, for compressed forms of what is served; 0: nothing is compressed.
    `cors_origins`: the pages of these may ask this server from a browser; `*`: all.
    `fetch_on_demand`: whoever asks for a build ID has its kernel fetched.
    `index_packages`: learn in quiet hours which modules the packages that are held have, and what
    lies in folders that are sources or were scanned; these are scanned anew every `scan_minutes`,
    0: when the server starts.
    `prepare`: make a copy of each vmlinux that debuggers open sooner, of those that have more than
    `prepare_above_mb`.
    `upload_mb`: how much the files of a kernel that is added may have together.
    `upstreams`: other debuginfod servers, asked for what we do not find ourselves; with
    `upstreams_from_environment` those of DEBUGINFOD_URLS too.  `upstream_seconds`: until one must
    have begun to answer.  `upstream_hops`: a question that was forwarded so often ends here.
    `foreign_mb`: what may be kept of what they gave.
    `mirror_seconds`: how long a mirror may send nothing; `mirror_attempts`: so often a download is
    tried without progress; `mirror_downloads`: of so many packages at once from one host, unless a
    person waits for more.
    """

    listen: str = _DEFAULT_LISTEN
    token_file: str | None = None
    token_for_reads: bool = False
    max_jobs: Annotated[int, msgspec.Meta(ge=1)] = 4
    workers: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    tokens_file: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    trusted_proxies: tuple[str, ...] = ()
    requests_per_second: Annotated[float, msgspec.Meta(ge=0)] = 0
    requests_burst: Amount = 1000
    large_answers: Amount = 64
    large_answers_per_client: Amount = 16
    log_format: LogFormat = "text"
    log_level: LogLevel = "info"
    least_free_mb: Amount = 2048
    idle_seconds: Seconds = 75.0
    stall_seconds: Seconds = 60.0
    shutdown_seconds: Seconds = 8.0
    memory_mb: Amount = 8
    encoded_mb: Amount = 4096
    cors_origins: tuple[str, ...] = ()
    fetch_on_demand: bool = True
    index_packages: bool = True
    scan_minutes: Amount = 10
    prepare: bool = True
    prepare_above_mb: Amount = 64
    upload_mb: Amount = 16_384
    upstreams: tuple[str, ...] = ()
    upstreams_from_environment: bool = False
    upstream_seconds: Seconds = 90.0
    upstream_hops: Amount = 8
    foreign_mb: Amount = 20_480
    mirror_seconds: Seconds = 30.0
    mirror_attempts: Annotated[int, msgspec.Meta(ge=1)] = 7
    mirror_downloads: Annotated[int, msgspec.Meta(ge=1)] = 4
    import_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """What a server is told, resolved.

    `token`: who shows it may do anything; `tokens_file`: more of them, with roles; without any,
    writes are refused.  `token_for_reads`: reads need one too.
    `sources` are the configured ones, asked first; `builtin_sources` False: only those.
    `credentials`: what some of them are asked with.
    `offline`: no source is asked at all.
    `keeps_jobs`: jobs outlive the process, the next server on the store goes on with them.
    `limits`: of the store.
    """

    store: Path
    host: str
    port: int
    token: str | None = None
    tokens_file: Path | None = None
    token_for_reads: bool = False
    sources: tuple[Source, ...] = ()
    credentials: tuple[Access, ...] = ()
    builtin_sources: bool = True
    offline: bool = False
    keeps_jobs: bool = False
    limits: Limits = field(default_factory=Limits)
    options: Options = field(default_factory=Options)


class _SourceTable(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    distro: str
    kind: Literal["apt", "directory", "snapshot", "rpm-md", "rmt"]
    url: str
    suite: str = ""
    component: str = "main"
    signed_by: list[str] = []
    signature: Literal["require", "if-present", "skip"] | None = None
    client_cert: str | None = None
    client_key: str | None = None
    ca: str | None = None
    username: str | None = None
    password_file: str | None = None
    floor: Amount = 0
    partial: bool = False


class _BuiltinTable(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    sources: bool = True


class _ConfigTable(msgspec.Struct, kw_only=True):
    server: Options = Options()
    source: list[_SourceTable] = []
    builtin: _BuiltinTable = msgspec.field(default_factory=_BuiltinTable)


def server_config(
    table: Mapping[str, Any],
    *,
    store: Path,
    listen: str | None = None,
    token: str | None = None,
    offline: bool = False,
    **flags: Any,
) -> ServerConfig:
    """The configuration of a server from the file's table and what the flags say; `flags` are keys
    of `[server]`, None: not given.

    Raises `Unusable` (`config-broken`) for an unknown key, a wrong type or an unknown distro.
    """
    try:
        read = msgspec.convert(dict(table), _ConfigTable)
        given = {name: value for name, value in flags.items() if value is not None}
        options = msgspec.convert({**msgspec.to_builtins(read.server), **given}, Options)
    except msgspec.ValidationError as error:
        raise Unusable("config-broken", f"the configuration is not as it should be: {error}") from (
            error
        )
    host, port = split_listen(listen or read.server.listen)
    return ServerConfig(
        store=store,
        host=host,
        port=port,
        token=token or _read_secret(read.server.token_file, "token_file"),
        tokens_file=Path(named).expanduser() if (named := read.server.tokens_file) else None,
        token_for_reads=read.server.token_for_reads,
        sources=tuple(_source(row) for row in read.source),
        credentials=tuple(access for row in read.source if (access := _access(row))),
        builtin_sources=read.builtin.sources,
        offline=offline,
        limits=read_limits(table),
        options=options,
    )


def asking_first(config: ServerConfig, folder: Path) -> ServerConfig:
    """The configuration with a folder of packages, of any distribution, before its sources."""
    source = Source(
        distro="*",
        kind="directory",
        url=folder.absolute().as_uri(),
        signature="if-present",
        origin=CONFIGURED,
    )
    return replace(config, sources=(source, *config.sources))


def split_listen(text: str) -> tuple[str, int]:
    """`HOST:PORT`, `[V6]:PORT` or `:PORT` taken apart.

    >>> split_listen("[::1]:80")
    ('::1', 80)
    """
    host, _, port = text.rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        raise Unusable("config-broken", f"not HOST:PORT: {text}", hint="such as 127.0.0.1:8002")
    return host.strip("[]") or "127.0.0.1", int(port)


def _source(row: _SourceTable) -> Source:
    if row.distro != "*" and row.distro not in catalog():
        names = ", ".join(catalog())
        raise Unusable(
            "config-broken", f"[[source]] names the distro {row.distro!r}", hint=f"known: {names}"
        )
    return Source(
        distro=row.distro,
        kind=row.kind,
        url=row.url,
        suite=row.suite,
        component=row.component,
        signed_by=tuple(row.signed_by),
        # A folder has no index that could be signed, a .deb in it no signature at all.
        signature=row.signature or ("if-present" if row.kind == "directory" else "require"),
        origin=CONFIGURED,
        floor=row.floor,
        partial=row.partial,
    )


def _access(row: _SourceTable) -> Access | None:
    """What a source is asked with; None: nothing special."""
    for word, needs in (("client_key", "client_cert"), ("username", "password_file")):
        if getattr(row, word) and not getattr(row, needs):
            raise Unusable("config-broken", f"[[source]] has {word} without {needs}")
    if row.password_file and not row.username:
        raise Unusable("config-broken", "[[source]] has password_file without username")
    if not (row.client_cert or row.ca or row.username):
        return None
    return Access(
        prefix=row.url.partition("?")[0],
        origin=CONFIGURED,
        certificate=_file(row.client_cert, "client_cert"),
        key=_file(row.client_key, "client_key"),
        authority=_file(row.ca, "ca"),
        username=row.username or "",
        password=_read_secret(row.password_file, "password_file") or "",
    )


def _file(path: str | None, word: str) -> Path | None:
    if path is None:
        return None
    if not Path(path).is_file():
        raise Unusable("config-broken", f"[[source]] names the {word} {path}, which is no file")
    return Path(path)


def _read_secret(path: str | None, word: str) -> str | None:
    if path is None:
        return None
    try:
        return Path(path).read_text().strip() or None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise Unusable("config-broken", f"the {word} {path} cannot be read: {reason}") from error
