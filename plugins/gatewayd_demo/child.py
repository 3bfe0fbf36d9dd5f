"""Shared by the demo's servers: print the port, and end when the parent process ends."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import Server

__all__ = ["password", "serve"]


def password(path: str) -> str:
    """Return the password in the file ``path``: an argument would show in the process list."""
    return Path(path).read_text(encoding="utf-8").strip()


async def serve(server: Server) -> None:
    """Print the server's port and serve until standard input ends, which it does whatever way the parent ends."""
    async with server:
        sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        stdin = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
        await stdin.read()
