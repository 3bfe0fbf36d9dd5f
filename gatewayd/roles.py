"""The roles that a plugin can play: what each promises, and what it may expect of the kernel.

A plugin offers *classes* (see ``hookspecs``). The kernel builds one object of a class for each place of the config that
names its ``kind``, with the ``Options`` that stand there, and calls the object's methods, each call in a guard of its
own. Objects of a role are used by one thread at a time. The role ``Store`` is in ``store.py``.

Raising, everywhere: the errors of ``errors.py`` say what is to be done; any other exception is the plugin's own fault.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from gatewayd import options as _options

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from gatewayd.mail import Mail
    from gatewayd.model import Action, Contact, Fetched, Finding, Kind, Listed, Page, Record
    from gatewayd.spool import Spool

__all__ = [
    "Command",
    "Directory",
    "Heard",
    "Matcher",
    "Operator",
    "Place",
    "Plugin",
    "Session",
    "Transport",
    "Watch",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """A tour operator, as its matchers see it."""

    name: str
    title: str = ""
    #: The operator's brands, as they stand in booking codes.
    brands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The folders that a plugin may use."""

    #: The config folder: read only.
    config: Path
    #: A folder of the plugin's own below the state folder: what is kept there can be built again, or is the store.
    state: Path


class Plugin(ABC):
    """What all roles share: the word that YAML uses, and the fields beside it."""

    #: The word by which YAML names the plugin; unique in its role.
    kind: ClassVar[str]

    class Options(_options.Options):
        """The YAML fields; each with a description."""


class Transport(Plugin):
    """Reads mail from accounts of one kind of server."""

    #: How many sessions a server allows on one mailbox at a time; None where the account's ``connections`` decides.
    max_sessions: ClassVar[int | None] = None
    #: Whether listings say when a message arrived. Without it ``start`` can't be a date.
    tells_arrival: ClassVar[bool] = True
    #: Whether one key names a message wherever it lies (Graph); else keys are unique in their folder only.
    keys_span_folders: ClassVar[bool] = False

    def __init__(self, options: Transport.Options, *, account: str) -> None:
        """Keep ``options`` and the account's name for messages. Does no I/O and can't fail."""
        self.options = options
        self.account = account

    @abstractmethod
    def open(self) -> Session:
        """Connect, log in, and return the session.

        Called by the thread that visits, where no session of an earlier visit is open still; each step on the network has
        the account's ``timeout``.
        Raises AuthError (password, certificate, TLS not offered: the account pauses) or TransientError (back off).

            with closing(transport.open()) as session: ...
        """


class Session(ABC):
    """One open, logged-in connection. Every method changes nothing on the server, except ``settle``."""

    @abstractmethod
    def listing(self, folder: str, cursor: str | None) -> Iterator[Page]:
        """Yield the folder's keys behind ``cursor``, page by page (at most 1,000 keys each), oldest first.

        Called for each folder at each visit, by the thread that visits. ``None`` lists from the beginning. A cursor that
        the server no longer honours (renumbered) lists from the beginning with ``others_gone`` on the first page. Each
        page's cursor stands for the keys up to and with that page and remembers, over crashes, how far backlog reaches.
        A transport without cursors yields the whole folder as one page with ``others_gone``. Raises TransientError, or
        PermanentError where there is no such folder: the account's other folders go on.

            Page(keys=(Listed("7:12", 2048, arrival),), cursor="7 12 0", backlog=False)
        """

    @abstractmethod
    def headers(self, folder: str, keys: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        r"""Yield key and raw header block (at least Message-ID, Date, From, Subject) of each message still there.

        Called where keys may be old mail under new numbers, and for ``remote``. At most 1,000 keys a call. Marks nothing
        seen. Raises TransientError; a message that can't be had is left out.

            ("7:12", b"Message-ID: <1@example.com>\r\n...")
        """

    @abstractmethod
    def fetch(self, folder: str, listed: Sequence[Listed], spool: Spool) -> Iterator[Fetched]:
        """Fetch the messages whole into the spool; yield for each key ``Came``, ``Gone`` or ``Failed``.

        Called a batch at a time (about 100 messages and 16 MiB; a larger message comes alone), by a thread that fetches
        while another files. Marks nothing seen. One message's trouble is yielded, never raised; TransientError is for a
        session that can't go on, and what was not yielded by then keeps waiting. Bytes are put as the server has them.

            yield spool.put(key, chunks_of_at_most_one_MiB)
        """

    @abstractmethod
    def settle(self, folder: str, keys: Sequence[str], action: Action) -> None:
        """Do ``action`` to the messages on the server; what is no longer there counts as done.

        Called after the commit that filed them, if need be again by a later session, only for accounts that ask for it.
        Touches no other message: never a plain EXPUNGE. Raises TransientError, or PermanentError where the server can't.

            session.settle("INBOX", ["7:12"], Action(do="move", folder="Imported"))
        """

    @abstractmethod
    def problems(self, folders: Sequence[str], action: Action | None) -> list[str]:
        """Return what would keep this account from working: missing folders, an action that the server can't do.

        Called by ``check --online`` only. Reads only. Each text says what is wrong and what to do about it.

            ["there is no folder 'Inbx'; the server has INBOX, Sent: correct `folders`"]
        """

    def watch(self, folder: str) -> Watch | None:
        """Let the server announce what comes to ``folder``, from now on; None where it can't.

        Called after a visit that went well, by the thread that visited. Until ``Watch.end`` returned, no other method but
        ``abort`` and ``close`` is called. Raises TransientError.

            watch = session.watch("INBOX")
        """
        del folder
        return None

    @abstractmethod
    def abort(self) -> None:
        """Break the connection, so that whatever step another thread is in raises TransientError at once.

        Called from any thread, at any time, also twice and after ``close``; does no I/O that could wait, and never raises.
        """

    @abstractmethod
    def close(self) -> None:
        """Log out and close. Called once, by the thread that used it last, also after errors; never raises."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a watched server said since it was last listened to."""

    #: Something in the folder may have changed.
    news: bool = False
    #: The server answered the last ``renew``: the connection is alive, and nothing was missed until then.
    proven: bool = False


class Watch(ABC):
    """A session that waits for the server's word, such as IDLE (RFC 2177).

    A thread that waits for thousands of them in one selector calls ``fileno``, ``listen`` and ``renew``; none of these may wait.
    """

    #: How many seconds it lasts without a ``renew``; servers end an IDLE after 30 minutes.
    lasts: ClassVar[float] = 29 * 60

    @abstractmethod
    def fileno(self) -> int:
        """Return what a selector waits on."""

    @abstractmethod
    def listen(self) -> Heard:
        """Read all that has come, also what TLS or a buffer holds back, without waiting.

        Called when ``fileno`` is readable, and once before it is first waited on. Raises TransientError where the
        connection is lost or what comes makes no sense.
        """

    @abstractmethod
    def renew(self) -> None:
        """Let the server prove that it is still there: end the waiting and begin it anew, without missing anything.

        Sends only; the answer comes by ``listen``. Not called again before that. Raises TransientError.
        """

    @abstractmethod
    def end(self) -> bool:
        """End the waiting, so that the session is free again; whether something may have changed meanwhile.

        Called by the thread that visits next; waits for the server at most the account's ``timeout``. Raises TransientError.
        """


class Directory(Plugin):
    """Looks up an operator's records, a whole batch in one query."""

    def __init__(self, options: Directory.Options, *, operator: Operator, place: Place) -> None:
        """Keep what is given. Does no I/O and can't fail."""
        self.options = options
        self.operator = operator
        self.place = place

    @abstractmethod
    def refresh(self) -> list[str]:
        """Follow changes of what lies behind; return faults to show, such as a row that was left out, with file:line.

        Called outside any deadline, before a visit's first batch and by ``check``. May take minutes the first time; says
        nothing and costs next to nothing where nothing changed. Only here may an index be built, whole or not at all.
        Raises ConfigError (what is there can't be used) or TransientError (it is down).

            ["persons.csv:17: expected 4 columns, found 3"]
        """

    def follow(self) -> None:
        """Take up what ``refresh`` has built in another process.

        Called before each batch, in every process that matches, within its deadline: builds nothing and costs next to
        nothing. Without an index there is nothing to do. What it raises counts as what ``refresh`` raises.
        """

    @abstractmethod
    def find(self, kind: Kind, field: str, values: Collection[str]) -> Mapping[str, Sequence[Record]]:
        """Return for each value the records of ``kind`` whose ``field`` equals it; values without any are left out.

        Called once a batch, in the process that matches, with any number of values. ``field`` is ``id``, ``code``,
        ``name``, ``main_contact`` or another column. Raises TransientError where the directory is down.

            find("customer", "main_contact", {"P1"}) -> {"P1": (Record(kind="customer", id="C1", label="Nord GmbH"),)}
        """

    @abstractmethod
    def persons(self, emails: Collection[str]) -> Mapping[str, Sequence[Record]]:
        """Return the non-temporary persons for each address, keyed by the address in lower case.

        Asked as ``find`` is.

            persons({"Anna@Example.com"}) -> {"anna@example.com": (Record(kind="person", id="P1", label="Anna"),)}
        """

    @abstractmethod
    def contacts(self, emails: Collection[str]) -> Mapping[str, Sequence[Contact]]:
        """Return the contacts of type EMAIL for each address, keyed by the address in lower case.

        Asked as ``find`` is.

            contacts({"desk@nord.example"}) -> {"desk@nord.example": (Contact(owner=..., contact_type="sales"),)}
        """

    def reservations(self, codes: Collection[str]) -> Mapping[str, Sequence[Record]]:
        """Return the reservations for each booking code.

        Asked as ``find`` is.

            reservations({"B-756"}) -> {"B-756": (Record(kind="reservation", id="R9", label="B-756 Rome"),)}
        """
        return self.find("reservation", "code", codes)

    @abstractmethod
    def search(self, kind: Kind, text: str, *, limit: int = 20) -> Sequence[Record]:
        """Return records of ``kind`` with every word of ``text`` in id, code or label, best first, for a person to choose.

        Called by ``directory find`` and when a person links by hand; the only method for one question at a time.

            search("customer", "nord") -> (Record(kind="customer", id="C1", label="Nord GmbH"),)
        """

    def close(self) -> None:
        """Let go of files and connections. Called once; never raises."""


class Matcher(Plugin):
    """Says what mail is about, by looking into the operator's directory."""

    def __init__(self, options: Matcher.Options, *, operator: Operator) -> None:
        """Keep what is given; compile patterns here. May raise ConfigError for options that can't work together."""
        self.options = options
        self.operator = operator

    @abstractmethod
    def match(self, mails: Sequence[Mail], directory: Directory) -> Iterable[Finding]:
        """Yield for the whole batch what each mail is about: ``Link``, ``Rivals``, and ``Miss`` if it likes to say so.

        Called once a batch (about 100 mails), after the operator's directory was refreshed, in the process that matches
        for one operator. It reads the mails and the directory and does no other I/O: one look-up a batch, never one a
        mail. Raising costs this matcher's links only, and after the batch was halved only those of the guilty mails;
        the mail is filed and the fault stands on it under the matcher's kind.

            yield decide(mail.id, records.get(code, ()), because=f"booking code {code} in the subject")
        """


class Command(Plugin):
    """A word on the command line, with the fields of ``Options`` as its flags. The class's docstring is its help."""

    def __init__(self, options: Command.Options) -> None:
        """Keep what is given."""
        self.options = options

    @abstractmethod
    def run(self) -> int:
        """Do it and return the exit code: 0 done, 1 something failed.

        Called once, in the main thread of the command's own process. An error of ``errors.py`` is shown to the person.

            gatewayd demo --once
        """
