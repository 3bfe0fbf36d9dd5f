"""The demo's SMTP server (RFC 5321): the world outside. ``python -m gatewayd_demo.smtp_server FOLDER``.

What it takes is kept in the folder as ``*.eml``, numbered, exactly as it came; the names of its files are in no other's hand.
"""

from __future__ import annotations

import asyncio
import sys
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from aiosmtpd.smtp import SMTP

from gatewayd_demo.child import serve
from gatewayd_demo.mail_files import put

if TYPE_CHECKING:
    from aiosmtpd.smtp import Envelope, Session

__all__ = ["main"]

_LARGEST = 50 << 20


class _Outside:
    """Takes everything, for everybody."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count(1)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  aiosmtpd's own name
        """Keep a message before it is answered for."""
        del server, session
        put(self._folder, next(self._numbers), envelope.original_content or b"")
        return "250 taken"


async def main(folder: Path) -> None:
    """Serve until the parent ends."""
    handler = _Outside(folder)
    loop = asyncio.get_running_loop()
    made = await loop.create_server(lambda: SMTP(handler, hostname="outside.example", data_size_limit=_LARGEST), "127.0.0.1", 0)
    await serve(made)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
