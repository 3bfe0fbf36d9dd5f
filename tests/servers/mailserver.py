"""What a mailbox server is to the campaign: started, stopped, given mail, put back as it was; and looked at by programs not ours."""

from __future__ import annotations

import imaplib
import os
import poplib
import re
import shutil
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, ClassVar, Literal

from gatewayd.testing.servers.proxy import free_ports
from tests.e2e.house import until
from tests.patience import LONG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from tests.servers.room import Room

__all__ = ["CRYPTED", "Kind", "MailServer", "Maildirs", "Mboxes", "closed", "speaks"]

#: ``pass``, as crypt(5) has it.
CRYPTED = "$1$gatewayd$Eiz25roIMYZN2gvBdV4lL1"

Kind = Literal["imap", "pop3"]


class MailServer(ABC):
    """One kind of server in its room. Every user's password is ``pass``."""

    #: As the table has it.
    name: ClassVar[str]
    suite: ClassVar[str] = "bookworm"
    packages: ClassVar[Sequence[str]]
    kinds: ClassVar[Sequence[Kind]] = ("imap", "pop3")
    #: Folders of the room that hold all of its mailboxes, with their indexes.
    state: ClassVar[Sequence[str]]
    #: How it names a folder beside INBOX.
    other: ClassVar[str] = "Travel"
    #: Its IDLE tells of new mail.
    announces: ClassVar[bool] = True
    #: The strongest that can be done there to what is filed.
    settles: ClassVar[str] = "delete"

    def __init__(self, room: Room) -> None:
        self.room = room
        self.ports: dict[str, int] = dict(zip(self.kinds, free_ports(len(self.kinds)), strict=True))
        self.configure()
        self.start()

    @abstractmethod
    def configure(self) -> None:
        """Write its configuration."""

    @abstractmethod
    def launch(self) -> None:
        """Start it."""

    @abstractmethod
    def user(self, name: str) -> None:
        """Make a user."""

    @abstractmethod
    def deliver(self, user: str, messages: Iterable[bytes]) -> None:
        """Put messages into INBOX, as mail arrives there."""

    @abstractmethod
    def take_away(self, user: str, marker: bytes) -> None:
        """Remove the message that contains these bytes from INBOX, whoever reads it."""

    @abstractmethod
    @contextmanager
    def unreadable(self, user: str, marker: bytes) -> Iterator[None]:
        """Keep the server from reading that message's file while the block lasts."""
        yield

    def empty(self, user: str) -> None:
        """Remove the INBOX of a user of POP3, and make it anew."""
        raise NotImplementedError

    # --- it runs ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start it, and wait until it speaks."""
        self.launch()
        for port in self.ports.values():
            until(f"something speaks on port {port}\n{self.room.said()}", LONG, partial(speaks, port))

    def stop(self) -> None:
        """End it."""
        self.room.stop_all()

    def back_up(self, copy: Path) -> None:
        """Copy all mailboxes, while the server is at rest."""
        self.stop()
        for number, folder in enumerate(self.state):
            subprocess.run(["cp", "-a", self.room.path(folder), copy / str(number)], check=True)
        self.start()

    def restore(self, copy: Path) -> None:
        """Put all mailboxes back, as they were."""
        self.stop()
        for number, folder in enumerate(self.state):
            shutil.rmtree(self.room.path(folder))
            subprocess.run(["cp", "-a", copy / str(number), self.room.path(folder)], check=True)
        self.start()

    # --- by a program that is not ours ------------------------------------------------------------------------------

    @contextmanager
    def imap(self, user: str) -> Iterator[imaplib.IMAP4]:
        """Give a client that is logged in."""
        with imaplib.IMAP4("127.0.0.1", self.ports["imap"], timeout=60) as client:
            client.login(user, "pass")
            yield client

    def raws(self, kind: Kind, user: str, folder: str = "INBOX") -> list[bytes]:
        """Return the bytes of each message, as the server gives them."""
        if kind == "pop3":
            client = poplib.POP3("127.0.0.1", self.ports["pop3"], timeout=60)
            with suppress(poplib.error_proto):
                # Not all know CAPA, or UTF8 (RFC 6856), without which some answer for mail in UTF-8 with something else.
                client.utf8()
            client.user(user)
            client.pass_("pass")
            number = client.stat()[0]
            found = [b"".join(line + b"\r\n" for line in client.retr(one)[1]) for one in range(1, number + 1)]
            client.quit()
            return found
        with self.imap(user) as imap:
            exists = int(imap.select(f'"{folder}"', readonly=True)[1][0] or 0)
            answers = imap.fetch("1:*", "(BODY.PEEK[])")[1] if exists else []
        return [answer[1] for answer in answers if isinstance(answer, tuple)]

    def flags(self, user: str, folder: str = "INBOX") -> list[str]:
        """Return the flags of each message."""
        with self.imap(user) as imap:
            exists = int(imap.select(f'"{folder}"', readonly=True)[1][0] or 0)
            answers = imap.fetch("1:*", "(FLAGS)")[1] if exists else []
        return [str(answer) for answer in answers]


def speaks(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 30) as connection:
        return bool(connection.recv(100))
    return False


class Maildirs(MailServer):
    """A server whose mail is in Maildirs."""

    _count = count(1)

    @abstractmethod
    def home(self, user: str) -> Path:
        """The Maildir of a user."""

    @abstractmethod
    def owner(self, user: str) -> tuple[int, int]:
        """To whom and to which group the mail of a user belongs."""

    def make(self, user: str) -> None:
        """Make the Maildir of a user, and the folders above it."""
        home = self.home(user)
        for name in ("cur", "new", "tmp"):
            (home / name).mkdir(parents=True)
        for path in (home.parent, home, *home.iterdir()):
            os.chown(path, *self.owner(user))

    def deliver(self, user: str, messages: Iterable[bytes]) -> None:
        home = self.home(user)
        for message in messages:
            name = f"{int(time.time())}.M{next(self._count):06}P{os.getpid()}.test"
            (home / "tmp" / name).write_bytes(message.replace(b"\r\n", b"\n"))
            os.chown(home / "tmp" / name, *self.owner(user))
            (home / "tmp" / name).rename(home / "new" / name)

    def empty(self, user: str) -> None:
        shutil.rmtree(self.home(user))
        self.make(user)

    def take_away(self, user: str, marker: bytes) -> None:
        self._file(user, marker).unlink()

    @contextmanager
    def unreadable(self, user: str, marker: bytes) -> Iterator[None]:
        inode = self._file(user, marker).stat().st_ino
        with closed(lambda: next(file for file in self._files(user) if file.stat().st_ino == inode)):
            yield

    def _files(self, user: str) -> Iterator[Path]:
        for name in ("new", "cur"):
            yield from (self.home(user) / name).iterdir()

    def _file(self, user: str, marker: bytes) -> Path:
        return next(file for file in self._files(user) if marker in file.read_bytes())


class Mboxes(MailServer):
    """A server whose mail is in mbox files, one for each user of its system."""

    state = ("/var/mail",)

    def file(self, user: str) -> Path:
        """The mbox of a user."""
        return self.room.path(f"/var/mail/{user}")

    def user(self, name: str) -> None:
        self.room.good(
            f"useradd --create-home --password '{CRYPTED}' {name} && install -o {name} -g mail -m 660 /dev/null /var/mail/{name}"
        )

    def deliver(self, user: str, messages: Iterable[bytes]) -> None:
        lines = (b"From eve@example.com Sun Nov 22 12:00:00 2026\n" + _quoted(message) + b"\n" for message in messages)
        with self.file(user).open("ab") as mbox:
            mbox.write(b"".join(lines))

    def empty(self, user: str) -> None:
        self.file(user).write_bytes(b"")

    def take_away(self, user: str, marker: bytes) -> None:
        kept = [one for one in re.split(rb"(?m)^(?=From )", self.file(user).read_bytes()) if marker not in one]
        self.file(user).write_bytes(b"".join(kept))

    @contextmanager
    def unreadable(self, user: str, marker: bytes) -> Iterator[None]:
        del marker
        with closed(lambda: self.file(user)):
            yield


@contextmanager
def closed(file: Callable[[], Path]) -> Iterator[None]:
    """Nobody but root may read a file; it may be renamed meanwhile."""
    mode = file().stat().st_mode
    file().chmod(0)
    yield
    # Root's server, or a delete in vain, may have removed it.
    with suppress(StopIteration, FileNotFoundError):
        file().chmod(mode)


def _quoted(message: bytes) -> bytes:
    return re.sub(rb"(?m)^(>*From )", rb">\1", message.replace(b"\r\n", b"\n").removesuffix(b"\n") + b"\n")
