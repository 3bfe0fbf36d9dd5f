"""The demo's POP3 server (RFC 1939). ``python -m gatewayd_demo.pop3_server USER PASSWORD_FILE FOLDER``.

The mailbox is a folder of ``*.eml`` files with CRLF; a file's name is its UIDL. A session sees the files that were there
when it logged in, and deletes at QUIT only.
"""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gatewayd_demo.child import password, serve

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Pop3Conversation", "main"]

_CAPABILITIES = ["TOP", "UIDL", "USER", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE"]


class _Refused(Exception):
    """The command is answered by ``-ERR``."""


class Pop3Conversation:
    """One session: commands in, replies out."""

    def __init__(self, user: str, secret: str, folder: Path) -> None:
        self._login = (user, secret)
        self._folder = folder
        self._user = ""
        self._files: list[Path] | None = None
        self._deleted: set[int] = set()
        self._commands: dict[str, Callable[[str], bytes]] = {
            "CAPA": lambda _: _lines(_CAPABILITIES),
            "USER": self._take_user,
            "PASS": self._take_password,
            "STAT": lambda _: _ok(f"{len(self._there())} {sum(file.stat().st_size for file in self._there().values())}"),
            "LIST": lambda given: self._listing(given, lambda file: str(file.stat().st_size)),
            "UIDL": lambda given: self._listing(given, lambda file: file.stem),
            "RETR": lambda given: b"+OK\r\n" + _stuffed(self._one(given)[1].read_bytes()),
            "TOP": self._top,
            "DELE": self._delete,
            "RSET": self._reset,
            "NOOP": lambda _: _ok(""),
            "QUIT": self._quit,
        }

    def answer(self, line: str) -> bytes:
        """Return the whole reply to one command line."""
        word, _, given = line.partition(" ")
        command = self._commands.get(word.upper())
        try:
            return command(given) if command else b"-ERR unknown command\r\n"
        except _Refused as refusal:
            return f"-ERR {refusal}\r\n".encode()

    def _take_user(self, given: str) -> bytes:
        self._user = given
        return _ok("")

    def _take_password(self, given: str) -> bytes:
        if (self._user, given) != self._login:
            raise _Refused("[AUTH] wrong name or password")
        self._files = sorted(self._folder.glob("*.eml"))
        return _ok("welcome")

    def _there(self) -> dict[int, Path]:
        """The files by their numbers, without those that are marked as deleted."""
        if self._files is None:
            raise _Refused("log in first")
        return {number: file for number, file in enumerate(self._files, 1) if number not in self._deleted}

    def _one(self, given: str) -> tuple[int, Path]:
        there = self._there()
        number = int(given) if given.isascii() and given.isdigit() else 0
        if number not in there:
            raise _Refused("no such message")
        return number, there[number]

    def _listing(self, given: str, say: Callable[[Path], str]) -> bytes:
        if given:
            number, file = self._one(given)
            return _ok(f"{number} {say(file)}")
        return _lines([f"{number} {say(file)}" for number, file in self._there().items()])

    def _top(self, given: str) -> bytes:
        number, _, count = given.partition(" ")
        head, blank, body = self._one(number)[1].read_bytes().partition(b"\r\n\r\n")
        if not (count.isascii() and count.isdigit()):
            raise _Refused("expected TOP MESSAGE LINES")
        return b"+OK\r\n" + _stuffed(head + blank + b"".join(body.splitlines(keepends=True)[: int(count)]))

    def _delete(self, given: str) -> bytes:
        self._deleted.add(self._one(given)[0])
        return _ok("")

    def _reset(self, _: str) -> bytes:
        self._deleted.clear()
        return _ok("")

    def _quit(self, _: str) -> bytes:
        for number in self._deleted:
            (self._files or [])[number - 1].unlink(missing_ok=True)
        return _ok("bye")


def _ok(text: str) -> bytes:
    return f"+OK {text}".rstrip().encode() + b"\r\n"


def _lines(lines: list[str]) -> bytes:
    return "".join(f"{line}\r\n" for line in ["+OK", *lines, "."]).encode()


def _stuffed(mail: bytes) -> bytes:
    ended = mail if mail.endswith(b"\r\n") else mail + b"\r\n"
    return (b"\r\n" + ended).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, user: str, secret: str, folder: Path) -> None:
    mailbox = Pop3Conversation(user, secret, folder)
    writer.write(b"+OK the demo's POP3 server\r\n")
    try:
        while line := (await reader.readline()).decode("utf-8", "replace").rstrip("\r\n"):
            writer.write(mailbox.answer(line))
            await writer.drain()
            if line.upper() == "QUIT":
                break
    except (ConnectionError, ValueError):
        # The client went away, or sent a line without an end; either way the session is over.
        pass
    finally:
        writer.close()


async def main(user: str, password_file: str, folder: str) -> None:
    """Serve one mailbox on a free port, which is printed, until standard input ends."""
    talk = partial(_talk, user=user, secret=password(password_file), folder=Path(folder))
    await serve(await asyncio.start_server(talk, "127.0.0.1", 0))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
