"""A mail as Exchange takes it: as MIME where it is small, else in JSON and file by file."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from gatewayd import (
    Alternatives,
    PermanentError,
    TransientError,
    compared,
    file_of,
    forward_subject,
    forward_text,
    forwarded,
    parse,
    reference,
    wire,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from gatewayd import Address, Json, Mail, Parcel, Part

__all__ = ["MARK", "REFERENCES", "OutgoingFile", "OutgoingMail", "PutOff", "people"]

#: The property of a draft, and of the copy in Sent Items, that has the Message-ID of the delivery: Exchange may replace the header.
MARK = "String {7c2f0b1e-5d3a-4f6c-9e84-2b6d1a90c3f7} Name GatewaydDelivery"
#: PidTagInternetReferences and PidTagInReplyToId (MS-OXPROPS 2.744, 2.742): JSON has no other way to set these headers.
REFERENCES, _IN_REPLY_TO = "String 0x1039", "String 0x1042"


class PutOff(TransientError):
    """Exchange does not take this mail now. Another one may go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingFile:
    """A file of a mail."""

    name: str
    type: str
    #: In bytes.
    size: int
    #: Its bytes, from the beginning at each call.
    pieces: Callable[[], Iterator[bytes]] = field(repr=False)


class OutgoingMail:
    """The mail of a parcel, for exactly those recipients who wait for it."""

    def __init__(self, parcel: Parcel) -> None:
        """Raises PermanentError if Exchange can't carry it."""
        if parcel.mode == "inline":
            raise PermanentError(
                "Exchange can't resend a mail as it is, since it makes each mail anew", advice="`mode: attached` carries any mail."
            )
        self._parcel = parcel
        #: Our own mail has its people in its header.
        self._own: Mail | None = parse(parcel.source) if parcel.mode == "as is" else None
        # The original goes as a file: Exchange makes a message/rfc822 anew.
        self._written = forwarded(parcel, eight_bit=True, as_file=True)

    @property
    def size(self) -> int:
        """How many bytes it has as MIME."""
        return self._written.size

    @property
    def references(self) -> str:
        """The Message-IDs of its References."""
        return self._threading()[REFERENCES]

    def mime(self) -> Iterator[bytes]:
        """Yield it as MIME."""
        return self._written.pieces()

    def addressed(self) -> Mapping[str, Json]:
        """Return who gets it, in place of what its header says, and our mark."""
        to, cc, rest = self._recipients()
        return {
            "toRecipients": people(to),
            "ccRecipients": people(cc),
            "bccRecipients": people(rest),
            "singleValueExtendedProperties": [{"id": MARK, "value": self._parcel.message_id}],
        }

    def data(self) -> Mapping[str, Json]:
        """Return it as JSON, without its files."""
        parcel, own = self._parcel, self._own
        addressed = self.addressed()
        marks: list[Json] = [{"id": MARK, "value": parcel.message_id}]
        marks += [{"id": name, "value": value} for name, value in self._threading().items() if value]
        html = _html(own) if own else ""
        return {
            **addressed,
            "subject": own.subject if own else forward_subject(parcel),
            "body": {"contentType": "html" if html else "text", "content": html or (own.text if own else forward_text(parcel))},
            "from": people([(parcel.sender.name, parcel.sender.email)])[0] if parcel.sender else None,
            "internetMessageId": parcel.message_id,
            # Graph takes only headers that begin with X-, so no Auto-Submitted (RFC 3834). Exchange heeds this one in its place.
            "internetMessageHeaders": [{"name": "X-Auto-Response-Suppress", "value": "All"}] if own is None else [],
            "singleValueExtendedProperties": marks,
        }

    def files(self) -> Sequence[OutgoingFile]:
        """Return its files."""
        own, source = self._own, self._parcel.source
        if own is None:
            pieces = partial(_pieces, source.read, source.size)
            return [OutgoingFile(name="original.eml", type="application/octet-stream", size=source.size, pieces=pieces)]
        return [
            OutgoingFile(name=one.name or "file", type=one.type, size=one.size, pieces=partial(own.attachment, number))
            for number, one in enumerate((*own.attachments, *own.inline))
        ]

    def _threading(self) -> Mapping[str, str]:
        own, known = self._own, self._parcel.message_id
        if own is None:
            return {REFERENCES: reference(known)}
        headers = dict(own.headers)
        return {REFERENCES: headers.get("references", ""), _IN_REPLY_TO: headers.get("in-reply-to", "")}

    def _recipients(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]], list[tuple[str, str]]]:
        """Return names and addresses of To, Cc and Bcc. Who waits and is named nowhere, or comes up again, is one of Bcc."""
        waiting = {compared(address): wire(address) for address in self._parcel.to}
        own = self._own
        if own is None:
            return [("", address) for address in waiting.values()], [], []
        to = _named(own.to, waiting)
        cc = _named(own.cc, waiting)
        return to, cc, [("", address) for address in waiting.values()]


def people(found: Iterable[tuple[str, str]]) -> list[Json]:
    """Return names and addresses as Graph writes them."""
    return [{"emailAddress": {"address": address, **({"name": name} if name else {})}} for name, address in found]


def _named(written: Iterable[Address], waiting: dict[str, str]) -> list[tuple[str, str]]:
    """Take those of a header out of those who wait."""
    known = ((one.name, waiting.pop(compared(one.email), "")) for one in written)
    return [(name, address) for name, address in known if address]


def _html(own: Mail) -> str:
    """Return the HTML of a mail of ours, which is in UTF-8; empty if it has none."""
    texts = [part for one in own.body for part in (_parts(one) if isinstance(one, Alternatives) else [one])]
    part = next((part for part in texts if part.type == "text/html"), None)
    return b"".join(file_of(own.source, part)).decode(part.charset or "utf-8", "replace") if part else ""


def _parts(text: Alternatives) -> Iterator[Part]:
    for version in text.versions:
        for one in version:
            if not isinstance(one, Alternatives):
                yield one


def _pieces(read: Callable[[int, int], bytes], size: int) -> Iterator[bytes]:
    for offset in range(0, size, 1 << 18):
        yield read(offset, 1 << 18)
