"""The role ``Forwarder``: delivers to targets. A forwarder describes a server, a courier is one open connection to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from gatewayd.api.roles import Plugin
from gatewayd.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from gatewayd.api.delivery import Mode, Recipient
    from gatewayd.api.health import Standing
    from gatewayd.api.queries import FilingView
    from gatewayd.message.values import Address, Source

__all__ = ["Courier", "Forwarder", "Notice", "Parcel", "Receipt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One delivery, ready to go. Made anew for every try, and equal each time but for what the filing says by then."""

    #: The delivery's id.
    id: int
    #: The stable idempotency key: a Message-ID of ours with its brackets.
    message_id: str
    #: The filing as it stands now.
    filing: FilingView
    #: The raw bytes.
    source: Source
    mode: Mode
    #: From whom it goes, and the envelope's sender; None for a forwarder that sends no mail.
    sender: Address | None
    #: Who is to get it and has not: bare addresses; for a forwarder that sends no mail the target's name.
    to: tuple[str, ...]
    #: All to whom it was addressed, those that have it too.
    addressed: tuple[str, ...]
    #: When it was entered: its Date, so that a repeat is equal to the byte.
    entered_at: datetime
    #: Why it goes: ``rule 2``, or ``person:anna``.
    cause: str = ""
    #: Header lines, without line ends, by which a circle is known: our own signed hop and those that the mail came with.
    hops: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of one parcel at one try."""

    #: The parcel's.
    id: int
    #: One for each of ``Parcel.to``, in its order; one that waits is tried again.
    recipients: tuple[Recipient, ...]
    #: Seconds before which the other side wants no further try of it; None where it did not say.
    retry_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What the administrators are told at once: what is wrong since when, and what is over. No word of any mail stands in it."""

    #: The stable idempotency key: a Message-ID with its brackets.
    message_id: str
    at: datetime
    #: The machine that tells.
    host: str
    begun: tuple[Standing, ...] = ()
    over: tuple[Standing, ...] = ()
    #: From whom it is and who gets it, where it is a mail.
    sender: Address | None = None
    to: tuple[str, ...] = ()


class Courier(ABC):
    """One open connection to a server that takes deliveries. Used by one thread, but for ``abort``."""

    @abstractmethod
    def deliver(self, parcels: Sequence[Parcel]) -> Iterator[Receipt]:
        """Deliver one parcel after the other, and yield what became of each before the next is begun.

        A server's word about a recipient or a mail is a receipt, never an error: what may go well later leaves the
        recipient waiting with the server's words, what won't is ``refused``. Raising TransientError or AuthError means that
        the connection is of no use any more: the parcel in hand is undecided, and it and those behind it are tried later.
        """

    def notify(self, notice: Notice) -> Sequence[str]:
        """Bring the administrators a notice; return for each who did not get it why, in a line.

        Called by the daemon's thread for notices, over a connection of its own, at most a few times an hour; the store may be
        away. What can't be brought at all raises, and is tried again: PermanentError, TransientError or AuthError. By default
        it is a PermanentError: not every forwarder is for people.
        """
        del notice
        raise PermanentError(f"{type(self).__name__} brings no notices", advice="Name another `kind` in `notify`.")

    @abstractmethod
    def abort(self) -> None:
        """Break the connection, so that a step that waits ends at once. Called from any thread; never raises."""

    @abstractmethod
    def close(self) -> None:
        """Take leave politely, within a second. Called once; never raises."""


class Forwarder(Plugin):
    """Delivers to targets of one kind.

    Where ``sends_mail``, ``Options`` are the fields of an account that sends mail, and a target of this kind names the
    account, recipients and mode. Else ``Options`` are the fields of the target itself, beside its ``kind``.
    """

    sends_mail: ClassVar[bool] = False

    def __init__(self, options: Forwarder.Options, *, name: str) -> None:
        """Keep ``options``, and for messages the name of the account or of ``operator/target``. Does no I/O and can't fail."""
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
