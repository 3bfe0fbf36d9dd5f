"""Find the conversation of a mail among what the viewer may see, and what became of what we sent in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewayd import DeliveryQuery, Query

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd import DeliveryView, FilingView, Mail, Store, Viewer

__all__ = ["ThreadMail", "conversation"]

#: The newest so many mails, and of so many that we sent what became of them.
_MAILS, _SENT, _DELIVERIES = 30, 10, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadMail:
    """One mail of a conversation."""

    filing: FilingView
    #: Of a mail that we sent: how it went out.
    deliveries: tuple[DeliveryView, ...] = ()


def conversation(store: Store, viewer: Viewer, mail: Mail) -> Sequence[ThreadMail]:
    """Return the conversation, oldest first, with the mail itself; empty where there is no other mail in it."""
    found = store.filings(viewer, Query(thread=(mail.message_id, *mail.references), limit=_MAILS))
    if all(one.id == mail.id for one in found):
        return []
    sent = [one.id for one in found if one.direction == "out"][:_SENT]
    went = {one: tuple(store.deliveries(viewer, DeliveryQuery(mail_id=one, limit=_DELIVERIES))) for one in sent}
    return [ThreadMail(filing=one, deliveries=went.get(one.id, ())) for one in reversed(found)]
