"""Write a notice to the administrators, as a mail and as a line of JSON. It has no word of any mail."""

from __future__ import annotations

from email.utils import format_datetime
from typing import TYPE_CHECKING

from gatewayd.api.timestamps import minute, moment
from gatewayd.message import header_writing
from gatewayd.message.control_characters import clean
from gatewayd.message.mail import BytesSource
from gatewayd.message.values import Address
from gatewayd.outgoing.forward_mime import as_it_is, required, text_part

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd.api.forwarder import Notice
    from gatewayd.api.health import Standing
    from gatewayd.api.queries import Json
    from gatewayd.outgoing.forward_mime import Written

__all__ = ["notice_mail", "notice_row"]

#: So many alarms are named; of the others only the number.
_MOST = 20


def notice_row(notice: Notice) -> dict[str, Json]:
    """Return a notice for programs; times are RFC 3339 in UTC."""
    return {"host": notice.host, "begun": [_row(one) for one in notice.begun], "over": [_row(one) for one in notice.over]}


def _row(one: Standing) -> Json:
    alarm = one.alarm
    words: dict[str, Json] = {"kind": alarm.kind, "name": alarm.name, "since": moment(one.since)}
    return {**words, "error": alarm.error, "advice": alarm.advice}


def notice_mail(notice: Notice) -> Written:
    """Return a notice as a mail (RFC 5322), ready for SMTP; raises PermanentError if it has no sender."""
    lines = [
        header_writing.addressed("From", [required(notice.sender)]),
        header_writing.addressed("To", [Address(name="", email=email) for email in notice.to]),
        header_writing.text("Subject", _subject(notice)),
        f"Date: {format_datetime(notice.at)}",
        f"Message-ID: {notice.message_id}",
        # RFC 3834 section 5; Exchange wants the line below.
        "Auto-Submitted: auto-generated",
        "X-Auto-Response-Suppress: All",
        "MIME-Version: 1.0",
        *text_part("".join(f"{line}\n" for line in _lines(notice))),
        "",
    ]
    return as_it_is(BytesSource("\r\n".join(lines).encode("ascii")))


def _subject(notice: Notice) -> str:
    begun, over = [_name(one) for one in notice.begun], [_name(one) for one in notice.over]
    told = [f"{begun[0] if len(begun) == 1 else f'{len(begun)} things'} need{'s' if len(begun) == 1 else ''} you"] if begun else []
    told += [f"{over[0] if len(over) == 1 else f'{len(over)} things'} well again"] if over else []
    return f"gatewayd on {notice.host}: {', '.join(told)}"


def _name(one: Standing) -> str:
    words = {"account": "account", "directory": "the directory of", "store": "the store"}
    return f"{words[one.alarm.kind]} {one.alarm.name}".rstrip()


def _lines(notice: Notice) -> Iterator[str]:
    if notice.begun:
        yield from ("This needs you:", "", *_items(notice.begun))
    if notice.over:
        yield from ("This is over:", "", *_items(notice.over, short=True))
    yield f"`gatewayd status` on {notice.host} shows how everything is."


def _items(some: Sequence[Standing], *, short: bool = False) -> Iterator[str]:
    for one in some[:_MOST]:
        yield clean(f"{_name(one)}, since {minute(one.since)}")
        for text in () if short else filter(None, (one.alarm.error, one.alarm.advice)):
            yield clean(f"    {text}")
        if not short:
            yield ""
    if len(some) > _MOST:
        yield f"and {len(some) - _MOST} more"
    if short or len(some) > _MOST:
        yield ""
