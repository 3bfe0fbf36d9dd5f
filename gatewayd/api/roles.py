"""The roles that a plugin can play: what each promises, and what it may expect of the kernel.

A plugin offers *classes* (see ``hookspecs``). The kernel builds one object of a class for each place of the config that
names its ``kind``, with the ``Options`` that stand there, and calls the object's methods, each call in a guard of its
own. Objects of a role are used by one thread at a time. The role ``Store`` is in ``store.py``, sessions in ``session.py``.

Raising, everywhere: the errors of ``errors.py`` say what is to be done; any other exception is the plugin's own fault.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from gatewayd.api import options as _options
from gatewayd.api.directory import Contents
from gatewayd.api.endpoint import Login

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from gatewayd.api.session import Session
    from gatewayd.api.values import Contact, Finding, Kind, Record
    from gatewayd.message.mail import Mail

__all__ = ["Command", "Directory", "Folders", "Matcher", "Operator", "Plugin", "Transport"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """A tour operator, as its matchers see it."""

    name: str
    title: str = ""
    #: The operator's brands, as they stand in booking codes.
    brands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
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
    """Reads mail from accounts of one kind of server.

    What a transport with ``keys_span_folders`` may rely on, and what it must keep:

    - A key that is listed in another folder than before is the same message, and lies only there now. It is neither fetched nor
      filed once more, whatever its bytes are by then. What is owed to it is done in the folder where it was listed last.
    - A key that was gone and is listed again is the same message, too. So after a lost sync state (HTTP 410) the folder is listed
      from the beginning, with ``others_gone`` on the first page, as after a renumbering: keys that are known stay known, and mail
      that arrived after the last proven check is new.
    - ``Listed.arrival`` is always told. Two messages under one key whose arrivals differ are two messages.
    - ``Listed.size`` is None unless it is the exact length of what ``fetch`` sends. A server that makes a message's bytes anew at
      each fetch has no such size; then ``Listed.message_id`` is told, at least by ``look_up``. Nothing is done to a message whose
      arrival or Message-ID is not that of what was filed. Without ``message_id``, ``Session.headers`` is asked for it.
    - ``look_up`` leaves out a key that lies in another folder. Its action stays owed until the key is listed there.
    - ``fetch`` may send a message that lies in another folder by now. One that is cut off is ``Failed``: no size shows that.
    """

    #: How many sessions a server allows on one mailbox at a time; None where the account's ``connections`` decides.
    max_sessions: ClassVar[int | None] = None
    #: Whether listings say when a message arrived. Without it ``start`` can't be a date.
    tells_arrival: ClassVar[bool] = True
    #: Whether a key names one message of the mailbox for ever, in whichever folder it lies (immutable ids of Microsoft Graph); else
    #: keys are unique in their folder only. The docstring of the class says what follows from it.
    keys_span_folders: ClassVar[bool] = False
    #: Ports of the protocol: on whichever of them a server is asked, it has the same mailboxes.
    standard_ports: ClassVar[frozenset[int]] = frozenset()

    def __init__(self, options: Transport.Options, *, account: str) -> None:
        """Keep ``options`` and the account's name for messages. Does no I/O and can't fail."""
        self.options = options
        self.account = account

    def mailbox(self) -> str:
        """Return what tells the mailbox from every other; empty where the options don't tell.

        Called when the config is read; does no I/O and can't fail. Equal for all accounts on one mailbox, by whatever
        protocol: a second one would import all its mail once more, so it waits for a person's word. By default it is the
        ``username`` at the ``host``, with the ``port`` unless that is one of ``standard_ports``.

            "sales@example.com at imap.example.com"
        """
        return self.options.mailbox(self.standard_ports) if isinstance(self.options, Login) else ""

    def group(self) -> str:
        """Return the name of a group of accounts that share a bound, such as those of one app; empty for those of one ``host``.

        Called when the config is read; does no I/O and can't fail. A visit that waits for room in its group takes no thread.

            "graph.microsoft.com app 5e1f..."
        """
        return ""

    def group_limit(self) -> int | None:
        """Return how many visits may be under way in its group now, from 0; None leaves that to `limits.visits_per_host`.

        Called often by the thread that starts visits, of any account of the group, so it must not wait; it may change at any time,
        and is asked for at least twice a second while somebody waits. What it raises counts as None. Not called without ``group``.
        While it is 0, an account that has missed a whole poll says in `status` that its server has asked for patience.

            return self._pace.bound
        """
        return None

    @abstractmethod
    def open(self) -> Session:
        """Connect, log in, and return the session.

        Called by the thread that visits, where no session of an earlier visit is open still; each step on the network has
        the account's ``timeout``.
        Raises AuthError (password, certificate, TLS not offered: the account pauses) or TransientError (back off).

            with closing(transport.open()) as session: ...
        """


class Directory(Plugin):
    """Looks up an operator's records, a whole batch in one query."""

    def __init__(self, options: Directory.Options, *, operator: Operator, place: Folders) -> None:
        """Keep what is given. Does no I/O and can't fail."""
        self.options = options
        self.operator = operator
        self.place = place

    @abstractmethod
    def refresh(self) -> list[str]:
        """Follow changes of what lies behind; return faults to show, such as a row that was left out, with file:line.

        Called outside any deadline, every few seconds, when a file in ``Contents.folders`` changes, and by ``check``. May take
        minutes the first time; says nothing and costs next to nothing where nothing changed. Only here may an index be built,
        whole or not at all. Raises ConfigError (what is there can't be used) or TransientError (it is down): then mail that
        nobody is known to have sent waits, where the account imports ``contact_types`` only.

            ["persons.csv:17: expected 4 columns, found 3"]
        """

    def accept(self) -> list[str]:
        """Refresh, and take what lies behind as it is, also where so much is gone that ``refresh`` takes it for a fault.

        Called by ``directory load --accept``, as ``refresh`` is.
        """
        return self.refresh()

    def contents(self) -> Contents:
        """Return what it holds, and whether that is what lies behind it now.

        Called after each ``refresh``, also one that raised, in its process. Costs next to nothing. At most 1,000 of its faults and
        warnings are shown.

            Contents(version="17", rows=(("persons.csv", 812),), faults=("persons.csv:17: expected 4 columns, found 3",))
        """
        return Contents()

    def changed(self, version: str) -> Collection[str] | None:  # noqa: ARG002  for those who can tell
        """Return the addresses, in lower case, that have EMAIL contacts which they had not in ``version``; None if it can't tell.

        Called after a ``refresh`` that led to another version, in its process. Only these senders are judged again then; else
        all whose mail was not admitted.

            changed("16") -> {"desk@nord.example"}
        """
        return None

    def follow(self) -> None:
        """Take up what ``refresh`` has built in another process.

        Called before each batch, in every process that matches, within its deadline: builds nothing and costs next to
        nothing. Without an index there is nothing to do. What it raises counts as what ``refresh`` raises, for this batch.
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

        Asked as ``find`` is. A domain with other letters than English ones is asked for in both spellings, A-labels and U-labels.

            persons({"Anna@Example.com"}) -> {"anna@example.com": (Record(kind="person", id="P1", label="Anna"),)}
        """

    @abstractmethod
    def contacts(self, emails: Collection[str]) -> Mapping[str, Sequence[Contact]]:
        """Return the contacts of type EMAIL for each address, keyed by the address in lower case.

        Asked as ``persons`` is.

            contacts({"desk@nord.example"}) -> {"desk@nord.example": (Contact(record=..., contact_type="sales"),)}
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

    #: It yields ``Follows``: then answers to our mail that name it otherwise, as a relay renamed it, follow it, too.
    follows: ClassVar[bool] = False

    def __init__(self, options: Matcher.Options, *, operator: Operator) -> None:
        """Keep what is given; compile patterns here. May raise ConfigError for options that can't work together."""
        self.options = options
        self.operator = operator

    @abstractmethod
    def match(self, mails: Sequence[Mail], directory: Directory) -> Iterable[Finding]:
        """Yield for the whole batch what each mail is about: ``Link``, ``Rivals``, ``Follows``, and ``Miss`` if it likes to say so.

        Called once a batch (about 200 mails), after the operator's directory was refreshed, in the process that matches
        for one operator. It reads the mails and the directory and does no other I/O: one look-up a batch, never one a
        mail. Raising costs this matcher's links only, and after the batch was halved only those of the guilty mails;
        the mail is filed and the fault stands on it under the matcher's kind.

            yield decide(mail.id, records.get(code, ()), because=f"booking code {code} in the subject")
        """


class Command(Plugin):
    """A word on the command line, with the fields of ``Options`` as its flags. The class's docstring is its help."""

    def __init__(self, options: Command.Options, *, folder: Path) -> None:
        """Keep what is given. ``folder`` is the config folder, which may not be there."""
        self.options = options
        self.folder = folder

    @abstractmethod
    def run(self) -> int:
        """Do it and return the exit code: 0 done, 1 something failed.

        Called once, in the main thread of the command's own process. An error of ``errors.py`` is shown to the person.

            gatewayd demo --once
        """
