"""TLS for those who come over the network: the server's certificate, and what is said without."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Iterable
from ipaddress import ip_address

from kernsym.distros import Unusable
from kernsym.server.config import Options, ServerConfig

log = logging.getLogger(__name__)


class Certificate:
    """What a server proves its name with.  `context` is None where none is configured.

    Raises `Unusable` (`tls-broken`).
    """

    def __init__(self, options: Options) -> None:
        if options.tls_key and not options.tls_cert:
            raise Unusable("tls-broken", "[server] has tls_key without tls_cert")
        self.context: ssl.SSLContext | None = None
        if options.tls_cert:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.minimum_version = ssl.TLSVersion.TLSv1_2
            self.context.set_alpn_protocols(["http/1.1"])
            _load(self.context, options)

    def renew(self, config: ServerConfig) -> None:
        """Read the files again, for the connections that come from now on."""
        if self.context is not None:
            # What does not fit together would leave the context broken.
            _load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), config.options)
            _load(self.context, config.options)


def _load(context: ssl.SSLContext, options: Options) -> None:
    if options.tls_cert is None:
        raise Unusable("tls-broken", "TLS is switched off only by a new start of the server")
    try:
        # Nobody is there to type a pass phrase.
        context.load_cert_chain(options.tls_cert, options.tls_key, password=lambda: b"")
    except (OSError, ValueError) as error:
        raise Unusable(
            "tls-broken",
            f"the certificate {options.tls_cert} cannot be used: {error}",
            hint="tls_cert and tls_key are PEM files, the key without a pass phrase",
        ) from error


def warn_of_exposure(sockets: Iterable[socket.socket], options: Options) -> None:
    """Say so when what is sent can be read on the way."""
    for each in sockets:
        if each.family == socket.AF_UNIX or options.tls_cert:
            continue
        host = str(each.getsockname()[0])
        if not ip_address(host.partition("%")[0]).is_loopback:
            log.warning(
                "LISTENING ON %s WITHOUT TLS: tokens and symbols can be read on the way; set "
                "tls_cert and tls_key, or listen on 127.0.0.1 behind a proxy that has TLS",
                host,
            )
