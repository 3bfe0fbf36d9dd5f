"""Run the web server of this process from start to stop."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import uvicorn

from gatewayd import Reader
from gatewayd_web.app import app_of

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["serve"]

#: Seconds that a browser may keep a connection that it does not use, and that open pages have to end.
_KEEP, _END = 15, 3
#: Connections at once, streams included; a further one is told to come back.
_CONNECTIONS = 2000


def serve(folder: Path) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code. Raises the errors of ``Reader.open``."""
    with closing(Reader.open(folder)) as reader:
        host, _, port = reader.config.web.listen.rpartition(":")
        server = uvicorn.Server(
            uvicorn.Config(
                app_of(reader),
                host=host.strip("[]"),
                port=int(port),
                log_config=None,
                access_log=False,
                server_header=False,
                # Who is believed to be somebody else's proxy stands in our own config.
                proxy_headers=False,
                timeout_keep_alive=_KEEP,
                timeout_graceful_shutdown=_END,
                limit_concurrency=_CONNECTIONS,
                h11_max_incomplete_event_size=32 << 10,
            )
        )
        server.run()
    return 0 if server.started else 1
