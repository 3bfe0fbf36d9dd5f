"""Start the demo's servers as child processes, bring mail to them, and end them."""

from __future__ import annotations

import imaplib
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatewayd import TransientError
from gatewayd_demo.mail_files import messages, put

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

__all__ = ["DaemonServer", "DemoServer", "DemoSmtpServer", "ImapServer", "Office365Server", "Pop3Server", "WebServer"]

#: Longer than the daemon has.
_GRACE = 12.0


@dataclass
class DemoServer:
    """A child process that serves on 127.0.0.1. Use it as a context manager."""

    #: Where a child's own words go; shown if it fails.
    log: Path
    port: int = field(default=0, init=False)
    module = ""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", self.module, *self._arguments()]
        with self.log.open("wb") as log:
            # Its own session: Ctrl-C is for the demo, which then ends its servers in order.
            self._process = subprocess.Popen(  # noqa: S603  our own command
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True
            )
        assert self._process.stdout is not None  # noqa: S101  a pipe was asked for
        port = self._process.stdout.readline()
        if not port.strip().isdigit():
            self._end()
            raise TransientError(f"{self.module} did not start: {self.log.read_text(errors='replace')[-1000:].strip()}")
        self.port = int(port)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end()

    def _arguments(self) -> list[str]:
        raise NotImplementedError

    def _end(self) -> None:
        """End the child: it ends when its standard input does, and is killed if not."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE)
        self._process.kill()
        self._process.wait()


@dataclass
class DaemonServer(DemoServer):
    """The gatewayd that looks after all of it; its port is a process id."""

    folder: Path
    module = "gatewayd_demo.daemon"
    word = "run"

    def _arguments(self) -> list[str]:
        return [str(self.folder), self.word]


@dataclass
class WebServer(DaemonServer):
    """The pages for people."""

    word = "web"


@dataclass
class Mailbox(DemoServer):
    """A server that serves one mailbox."""

    user: str
    password_file: Path

    def _arguments(self) -> list[str]:
        return [self.user, str(self.password_file)]


@dataclass
class ImapServer(Mailbox):
    """The shared mailbox. Mail is appended to it by IMAP."""

    module = "gatewayd_demo.imap_server"

    def deliver(self, message: bytes, *, folder: str = "INBOX") -> None:
        """Put one message into a folder, which is made if there is none, unseen."""
        with imaplib.IMAP4("127.0.0.1", self.port, timeout=30) as imap:
            # imaplib sends a literal in a packet of its own, which would wait 40 ms for the answer to the one before.
            imap.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            imap.login(self.user, self.password_file.read_text(encoding="utf-8").strip())
            # No flags and no date: unseen, and it arrived now.
            if folder != "INBOX":
                # It may be there.
                imap.create(folder)
            imap.append(folder, None, None, message)


@dataclass
class Pop3Server(Mailbox):
    """A colleague's own mailbox, a folder of files."""

    folder: Path = field(kw_only=True)
    module = "gatewayd_demo.pop3_server"
    _delivered: int = field(default=0, init=False)

    def deliver(self, message: bytes) -> None:
        """Put one message into the mailbox; the next session sees it, whole."""
        self._delivered += 1
        put(self.folder, self._delivered, message)

    def _arguments(self) -> list[str]:
        self.folder.mkdir(parents=True, exist_ok=True)
        return [*super()._arguments(), str(self.folder)]


@dataclass
class Office365Server(Mailbox):
    """A mailbox of Office 365, which sends, too. The password file has the secret of the app that opens it."""

    folder: Path = field(kw_only=True)
    module = "gatewayd_demo.office365_server"
    _delivered: int = field(default=0, init=False)

    @property
    def client(self) -> str:
        """The client id of the app."""
        return (self.folder / "client").read_text(encoding="utf-8")

    @property
    def ca_file(self) -> Path:
        """The certificate of the CA that clients must trust."""
        return self.folder / "ca.pem"

    def deliver(self, message: bytes) -> None:
        """Put one message into the Inbox; the next request sees it, whole."""
        self._delivered += 1
        put(self.folder / "arriving", self._delivered, message)

    def taken(self) -> list[bytes]:
        """Return what the mailbox has sent so far, oldest first."""
        return messages(self.folder / "sent")

    def _arguments(self) -> list[str]:
        for name in ("arriving", "sent"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        return [*super()._arguments(), str(self.folder)]


@dataclass
class DemoSmtpServer(DemoServer):
    """The world outside, which takes all mail."""

    #: What it took lies here.
    folder: Path
    module = "gatewayd_demo.smtp_server"

    def taken(self) -> list[bytes]:
        """Return what it has taken so far, oldest first."""
        return messages(self.folder)

    def _arguments(self) -> list[str]:
        self.folder.mkdir(parents=True, exist_ok=True)
        return [str(self.folder)]
