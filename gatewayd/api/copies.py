"""The values by which a message is known that its server shows in several folders, under a key in each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatewayd.api.values import Action, Listed

__all__ = ["Copy", "Recognised"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """An entry of the ledger whose message is filed, and has the ``Listed.spanning_id`` of another one."""

    folder: str
    #: As the server listed it.
    listed: Listed
    mail_id: int
    #: The length of the bytes that are stored.
    size: int
    #: The Message-ID of the mail; empty if it has none.
    message_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """The message of a waiting key is a mail of the account, which came under another key: it becomes a ``duplicate`` unfetched."""

    entry_id: int
    mail_id: int
    cause: str
    #: See ``mail.anchor``.
    anchor: str
    #: What the account wants done on the server.
    owed: Action | None = None
