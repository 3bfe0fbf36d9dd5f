"""Shared by the demo's child processes: print a number, and end when the parent process ends."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import Server

__all__ = ["hold", "password", "serve"]


def password(path: str) -> str:
    """Return the password in the file ``path``: an argument would show in the process list."""
    return Path(path).read_text(encoding="utf-8").strip()


def hold(number: int) -> None:
    """Print a number and wait until standard input ends, which it does whatever way the parent ends."""
    _tell(number)
    sys.stdin.read()


async def serve(server: Server) -> None:
    """Print the server's port and serve until standard input ends, as in ``hold``."""
    async with server:
        _tell(server.sockets[0].getsockname()[1])
        stdin = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
        await stdin.read()


def _tell(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()
