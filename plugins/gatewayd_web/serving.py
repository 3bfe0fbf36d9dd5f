"""Run the web server of this process from start to stop."""

from __future__ import annotations

import socket
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import uvicorn

from gatewayd import ConfigError, Reader, TransientError
from gatewayd_web.addresses import url
from gatewayd_web.app import app_of

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd import WebConfig

__all__ = ["serve"]

#: Seconds that a browser may keep a connection that it does not use, and that open pages have to end.
_KEEP, _END = 15, 3
#: Connections at once, streams included; a further one is told to come back.
_CONNECTIONS = 2000
#: Connections that wait to be taken, and the longest head of a request, in bytes.
_BACKLOG, _HEAD = 512, 32 << 10


def serve(folder: Path) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code.

    Raises the errors of ``Reader.open``, ConfigError for a certificate that can't be used, and TransientError for an address that
    can't be had.
    """
    with closing(Reader.open(folder)) as reader:
        web = reader.config.web
        config = uvicorn.Config(
            app_of(reader),
            log_config=None,
            access_log=False,
            server_header=False,
            # Who is believed to be somebody else's proxy stands in our own config.
            proxy_headers=False,
            timeout_keep_alive=_KEEP,
            timeout_graceful_shutdown=_END,
            limit_concurrency=_CONNECTIONS,
            ssl_certfile=web.tls.certificate if web.tls else None,
            ssl_keyfile=web.tls.key if web.tls else None,
            h11_max_incomplete_event_size=_HEAD,
        )
        try:
            config.load()
        except OSError as error:
            # An error of TLS is one, too.
            advice = "Correct `web: tls` in gatewayd.yaml: certificate and key are PEM, and belong together."
            raise ConfigError(f"the certificate of the pages can't be used: {error}", advice=advice) from error
        with _listening(web) as sock:
            sys.stdout.write(f"The pages are at {url(web)}\n")
            sys.stdout.flush()
            uvicorn.Server(config).run(sockets=[sock])
    return 0


def _listening(web: WebConfig) -> socket.socket:
    host, _, port = web.listen.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, int(port)), family=family, backlog=_BACKLOG)
    except OSError as error:
        advice = "See that nothing else listens there, or correct `web: listen` in gatewayd.yaml."
        raise TransientError(f"the pages can't listen at {web.listen}: {error.strerror}", advice=advice) from error
