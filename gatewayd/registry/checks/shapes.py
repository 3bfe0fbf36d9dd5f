"""Describe the shape of every value that comes from plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from gatewayd.api.delivery import Recipient, RecipientState
from gatewayd.api.forwarder import Receipt
from gatewayd.api.offers import Summary
from gatewayd.api.session import Heard
from gatewayd.api.values import KINDS, Came, Contact, Failed, Follows, Gone, Link, Listed, Miss, Page, Record, Rivals
from gatewayd.registry.checks.fields import Shape, digest, flag, many, moment, number, one_of, optional, pair, source, span, text

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["KEY", "MANY", "SAID", "SHAPES"]

#: Bytes of the longest text in an index of a database.
KEY = 1000
#: Bytes of a text of somebody else's server: it is cut where it is kept.
SAID = 1 << 20
#: How many texts a list has, and recipients a receipt.
MANY = 10_000
#: Bytes of a field's value and of a cursor; rivals of one mail, fields of one record.
_VALUE, _CURSOR, _RIVALS, _FIELDS = 1 << 20, 1 << 16, 1000, 1000

_RECORD = Shape(
    Record,
    kind=one_of(KINDS),
    id=text(1, KEY),
    label=text(),
    fields=many(pair(text(0, KEY), text(0, _VALUE)), most=_FIELDS),
)
_LISTED = Shape(
    Listed,
    key=text(1, KEY),
    size=optional(number()),
    arrival=optional(moment),
    message_id=optional(text(0, SAID)),
    spanning_id=optional(text(1, KEY)),
)
_RECIPIENT = Shape(Recipient, address=text(1, KEY), state=one_of(get_args(RecipientState)[:3]), words=text(0, SAID))

#: The shape of every value that comes from plugins.
SHAPES: Mapping[type, Shape] = {
    shape.cls: shape
    for shape in (
        _RECORD,
        _LISTED,
        _RECIPIENT,
        Shape(
            Page,
            keys=many(_LISTED),
            cursor=text(0, _CURSOR),
            backlog=flag,
            others_gone=flag,
            exists=optional(number()),
            doubts=many(text(0, SAID), most=MANY),
        ),
        Shape(
            Summary,
            key=text(1, KEY),
            sender=text(0, SAID),
            sender_name=text(0, SAID),
            senders=many(text(0, KEY), most=MANY),
            to=many(text(0, SAID), most=MANY),
            subject=text(0, SAID),
            sent_at=optional(moment),
            attachments=optional(flag),
            anchor=text(0, KEY),
        ),
        Shape(Came, key=text(1, KEY), source=source, digest=digest),
        Shape(Gone, key=text(1, KEY), cause=text(0, SAID)),
        Shape(Failed, key=text(1, KEY), cause=text(0, SAID)),
        Shape(Heard, news=flag, proven=flag),
        Shape(Contact, record=_RECORD, type=text(1, KEY), value=text(0, _VALUE), contact_type=text(0, KEY)),
        Shape(Link, mail_id=number(), record=_RECORD, because=text()),
        Shape(Rivals, mail_id=number(), records=many(_RECORD, least=1, most=_RIVALS), because=text()),
        Shape(Miss, mail_id=number(), because=text()),
        Shape(Follows, mail_id=number(), message_id=text(1, KEY), because=text()),
        Shape(Receipt, id=number(), recipients=many(_RECIPIENT, most=MANY), retry_after=optional(span)),
    )
}
