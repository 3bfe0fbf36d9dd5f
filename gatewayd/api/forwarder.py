"""The role ``Forwarder``: delivers to targets. A forwarder describes a server, a courier is one open connection to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from gatewayd.api.roles import Plugin
from gatewayd.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from gatewayd.api.delivery import Mode, Recipient
    from gatewayd.api.health import Standing
    from gatewayd.api.queries import FilingView
    from gatewayd.message.values import Address, Source

__all__ = ["Courier", "DeliveryNote", "Forwarder", "Notice", "Parcel", "Receipt"]

#: How many characters a delivery note may have.
_NOTE = 4000


def _kept_in_memory(_: str) -> None:
    pass


class DeliveryNote:
    """What a forwarder must know of a delivery at its next try, such as the id of a draft that it is about to send.

    The store keeps it, across tries and processes, until all recipients who were tried have the mail or are refused.
    """

    def __init__(self, text: str = "", keep: Callable[[str], object] = _kept_in_memory) -> None:
        """``text`` is what was written last; ``keep`` has the store keep another text."""
        self._text = text
        self._keep = keep

    @property
    def text(self) -> str:
        """What was written last; empty if nothing was."""
        return self._text

    def write(self, text: str) -> None:
        """Replace the text, at most 4,000 characters. It is on the disk when this returns.

        Raises TransientError if another process has the delivery by now, or the store is away: the courier lets it through. Raises
        ValueError for a longer text.
        """
        if len(text) > _NOTE:
            raise ValueError(f"expected a note of at most {_NOTE} characters, got {len(text)}")
        self._keep(text)
        self._text = text


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One delivery, ready to go. Made anew for every try, and equal each time except for its filing and note."""

    #: The delivery's id.
    id: int
    #: The stable idempotency key: a Message-ID of ours with its brackets.
    message_id: str
    #: The filing as it is now.
    filing: FilingView
    #: The raw bytes.
    source: Source
    mode: Mode
    #: Its From and the envelope's sender; None for a forwarder that sends no mail.
    sender: Address | None
    #: The recipients that do not have it yet: bare addresses; for a forwarder that sends no mail the target's name.
    to: tuple[str, ...]
    #: All recipients, also those that have it.
    addressed: tuple[str, ...]
    #: When it was entered. That is its Date, so that a repeat has the same bytes.
    entered_at: datetime
    #: Why it goes: ``rule 2``, or ``person:anna``.
    cause: str = ""
    #: Header lines, without line ends, that show a circle: our own signed hop and those of the original.
    hops: tuple[str, ...] = ()
    #: What the forwarder has written down for this try.
    note: DeliveryNote = field(default_factory=DeliveryNote, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The result of one try of a parcel."""

    #: The parcel's.
    id: int
    #: One for each of ``Parcel.to``, in its order; one that waits is tried again.
    recipients: tuple[Recipient, ...]
    #: Seconds that the other side wants us to wait before the next try; None if it did not say.
    retry_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A message to the administrators: alarms that have begun, since when, and alarms that are over. It has no word of any mail."""

    #: The stable idempotency key: a Message-ID with its brackets.
    message_id: str
    at: datetime
    #: The name of this machine.
    host: str
    begun: tuple[Standing, ...] = ()
    over: tuple[Standing, ...] = ()
    #: Sender and recipients, if it is sent as a mail.
    sender: Address | None = None
    to: tuple[str, ...] = ()


class Courier(ABC):
    """One open connection to a server that takes deliveries. Used by one thread, but for ``abort``."""

    @abstractmethod
    def deliver(self, parcels: Sequence[Parcel]) -> Iterator[Receipt]:
        """Deliver one parcel after the other, and yield the receipt of each before the next is begun.

        A server's answer about a recipient or a mail is a receipt, never an error: if a later try may succeed, the recipient
        is ``waiting`` with the server's words, else ``refused``. Raise TransientError or AuthError if the connection is of no
        use any more: the current parcel is undecided then, and is tried later with those behind it.
        """

    def notify(self, notice: Notice) -> Sequence[str]:
        """Bring the administrators a notice; return a line for each who did not get it, with the reason.

        Called by the daemon's thread for notices, over a connection of its own, at most a few times an hour; the store may be
        away. Raise PermanentError, TransientError or AuthError if nobody got it; it is tried again. By default it raises
        PermanentError: not every forwarder is for people.
        """
        del notice
        raise PermanentError(f"{type(self).__name__} brings no notices", advice="Name another `kind` in `notify`.")

    def problems(self) -> Sequence[str]:
        """Return what would keep mail from being sent, such as a permission that is missing; it changes nothing there.

        Called by `check --online`. By default all is well once the connection is open. Raises TransientError or AuthError.
        """
        return ()

    @abstractmethod
    def abort(self) -> None:
        """Break the connection, so that a waiting step ends at once. Called from any thread; never raises."""

    @abstractmethod
    def close(self) -> None:
        """Say goodbye to the server and close the connection, within a second. Called once; never raises."""


class Forwarder(Plugin):
    """Delivers to targets of one kind.

    Where ``sends_mail``, ``Options`` are the fields of an account that sends mail, and a target of this kind names the
    account, recipients and mode. Else ``Options`` are the fields of the target itself, beside its ``kind``.
    """

    sends_mail: ClassVar[bool] = False
    #: The modes of mail that it can send, "attached" among them. A target of an account of this kind has no other mode.
    modes: ClassVar[tuple[Mode, ...]] = ("attached", "inline", "as is")

    def __init__(self, options: Forwarder.Options, *, name: str) -> None:
        """Keep ``options``, and ``name`` for messages: the account, or ``operator/target``. Does no I/O and can't fail."""
        self.options = options
        self.name = name

    @abstractmethod
    def open(self) -> Courier:
        """Connect, log in, and return the courier.

        Called by a thread of the outbox when something is due, and by `check --online`; each step on the network has a deadline.
        Raises AuthError (password, certificate, TLS not offered: tried rarely) or TransientError (back off).

            with closing(forwarder.open()) as courier:
                receipts = list(courier.deliver(parcels))
        """
