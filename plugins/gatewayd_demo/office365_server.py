"""The demo's Office 365: a stand-in for Microsoft's login and Graph. ``... office365_server MAILBOX SECRET_FILE FOLDER``.

Mail for the mailbox is taken from the subfolder ``arriving``. What the mailbox sends to the world outside is kept in ``sent``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from gatewayd.testing.graph import Graph
from gatewayd_demo.child import hold, password
from gatewayd_demo.mail_files import files, put

if TYPE_CHECKING:
    from gatewayd.testing.graph import DeliveredCopy, ExchangeMailbox, LoggedRequest

__all__ = ["main"]

_HOST = "127.0.0.1"


class _Post:
    """What comes to the mailbox from outside, and what goes there."""

    def __init__(self, mailbox: ExchangeMailbox, folder: Path) -> None:
        self._mailbox = mailbox
        self._folder = folder
        #: By the id of a message that was sent: each of its recipients has a copy.
        self._numbers: dict[str, int] = {}

    def arrive(self, request: LoggedRequest) -> None:
        """Let mail arrive before a request is carried out, which then sees it."""
        del request
        with self._mailbox.lock:
            for path in files(self._folder / "arriving"):
                self._mailbox.deliver(path.read_bytes())
                path.unlink()

    def leave(self, copy: DeliveredCopy) -> None:
        """Keep what is sent, before its sender has an answer."""
        number = self._numbers.setdefault(copy.message_id, len(self._numbers) + 1)
        put(self._folder / "sent", number, copy.mime)


def main(address: str, secret_file: str, folder: Path) -> None:
    """Serve one mailbox on a free port, which is printed, until standard input ends. The client id and the CA are in the folder."""
    # What the stand-in has on the disk goes with the demo's folder, however it ends.
    tempfile.tempdir = str(folder)
    with Graph() as graph:
        graph.app.secret = password(secret_file)
        # The name localhost need not be known: a bare Debian in a container has no /etc/hosts.
        graph.tokens.audiences.add(f"https://{_HOST}:{graph.port}")
        post = _Post(graph.add_mailbox(address), folder)
        graph.on_request, graph.on_delivered = post.arrive, post.leave
        (folder / "ca.pem").write_bytes(graph.ca_file.read_bytes())
        (folder / "client").write_text(graph.app.client, encoding="utf-8")
        hold(graph.port)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
