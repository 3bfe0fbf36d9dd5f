"""Find the messages of our own that a mail is, answers, brings back or names, and whose deliveries they are.

Only Message-IDs with our signature count (``message_ids``). Some relays give our mail a Message-ID of their own (Amazon SES,
Exchange); then the reference that we put into it is found, or the id that the relay named when it took the mail, which the store
knows.
No mail makes these functions raise, and they read a bounded part of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from gatewayd.message.body import parts_of
from gatewayd.message.containers import ContainerContents
from gatewayd.message.header_parsing import ids
from gatewayd.message.message_ids import is_reference, written_in
from gatewayd.message.transfer_encoding import transfer_decoded

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from gatewayd.api.delivery import Origin
    from gatewayd.message.mail import Mail
    from gatewayd.message.message_ids import Signer

__all__ = ["PART", "Provenance", "Returned", "headers_by_name", "part_of", "provenance", "returned", "server_ids", "texts"]

#: The most bytes that are read of a part, parts of a mail, and ids in each place.
PART = 1 << 16
_MAX_PARTS = 20
_MAX_IDS = 50
#: The most ids that are not ours for which the store is asked, the nearest first.
_MAX_FOREIGN = 8

#: Headers by which a mail is itself one of ours, and headers that name what it is about (RFC 5322 section 3.6.4).
_OWN = ("message-id", "resent-message-id")
_ABOUT = ("x-original-message-id", "original-message-id", "x-forwarded-message-id", "x-ms-exchange-parent-message-id")
_READ = frozenset({*_OWN, *_ABOUT, "in-reply-to", "references"})
#: Attached files that may hold a message.
_MESSAGES = (".eml", ".msg", ".mbox", ".mht")
#: Fields of a message that was returned or attached, which name that message.
_MESSAGE_ID = re.compile(
    rb"^[> \t]*+(?:resent-|x-original-|original-)?message-id:[ \t]*+(?:\r?\n[ \t]++)?<?+([^<>\s]{1,400}+)",
    re.IGNORECASE | re.MULTILINE,
)
#: The name of a server's queue entry, which nobody can guess; and the Message-ID that the server says it gave.
_SERVER_ID = re.compile(r"<([^<>@\s]{24,200})@|(?<![\w@.=-])([A-Za-z0-9_-]{24,200})(?![\w@.=-])", re.ASCII)
_GUESSABLE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Message-IDs of ours in a mail, by their place in it. Each is as we wrote it, and the nearest is first."""

    #: The mail is this message itself, come back.
    itself: tuple[str, ...] = ()
    #: In a report, or in a message within the mail.
    carried: tuple[str, ...] = ()
    #: The mail answers them.
    answered: tuple[str, ...] = ()
    #: In its text.
    mentioned: tuple[str, ...] = ()
    #: Message-IDs that are not ours, up to the @: a server may have given one to a mail of ours.
    foreign: tuple[str, ...] = ()

    @property
    def ours(self) -> tuple[str, ...]:
        """All of ours, each once."""
        return tuple(dict.fromkeys((*self.itself, *self.carried, *self.answered, *self.mentioned)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """The deliveries of ours that a mail brings back."""

    #: The messages of ours that the mail names, with those that it answers by a server's id.
    provenance: Provenance
    #: Whose deliveries they are, the nearest first; without those that are no longer in the store.
    origins: tuple[Origin, ...]
    #: Message-IDs of ours by the ids that servers gave them.
    renamed: Mapping[str, str]


def provenance(mail: Mail, signer: Signer) -> Provenance:
    """Return the messages of ours that a mail names, and where."""
    headers = headers_by_name(mail, _READ)
    answered = [*(one for value in headers.get("in-reply-to", ()) for one in ids(value)), *reversed(mail.references)]
    carried = _carried(mail) if mail.attachments else []
    itself = [*(value for name in _OWN for value in headers.get(name, ())), *_second_name(headers)]
    return Provenance(
        itself=_proven(itself, signer),
        carried=_proven([value for name in _ABOUT for value in headers.get(name, ())] + _named(carried), signer),
        answered=_proven(answered, signer),
        mentioned=_proven(_named(texts(mail)), signer),
        foreign=_foreign([*answered[:_MAX_FOREIGN], *_message_ids(carried)], signer),
    )


def _second_name(headers: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """Return the second name of a mail of ours that is here under another Message-ID, which Exchange and some relays give it.

    It stands last in the mail's own References. An answer refers to what it answers by the Message-ID that arrived: behind that
    name, or in In-Reply-To, where our mail has what it answered itself (RFC 5322 section 3.6.4).
    """
    references = ids(headers.get("references", ("",))[0])
    answers = (one for value in headers.get("in-reply-to", ()) for one in ids(value))
    is_own = bool(references) and is_reference(references[-1]) and all(one in references[:-1] for one in answers)
    return references[-1:] if is_own else ()


def returned(
    mails: Iterable[Mail], signer: Signer, origins: Callable[[Collection[str], Collection[str]], Sequence[Origin]]
) -> Mapping[int, Returned]:
    """Return the deliveries that each mail brings back, by its id. ``origins`` is the store's verb; raises what it raises."""
    found = {mail.id: provenance(mail, signer) for mail in mails}
    message_ids = {one for each in found.values() for one in each.ours}
    server_ids = {one for each in found.values() for one in each.foreign}
    known = origins(message_ids, server_ids) if message_ids or server_ids else ()
    return {mail_id: _returned(each, known) for mail_id, each in found.items()}


def _returned(found: Provenance, known: Sequence[Origin]) -> Returned:
    renamed = {one.server_id: one.message_id for one in known if one.server_id in found.foreign and one.server_id}
    if renamed:
        answered = (*(renamed[one] for one in found.foreign if one in renamed), *found.answered)
        found = replace(found, answered=tuple(dict.fromkeys(answered)))
    near = {message_id: place for place, message_id in enumerate(found.ours)}
    mine = sorted((one for one in known if one.message_id in near), key=lambda one: near[one.message_id])
    return Returned(provenance=found, origins=tuple(mine), renamed=renamed)


def headers_by_name(mail: Mail, names: Collection[str] = ()) -> Mapping[str, Sequence[str]]:
    """Return the values of a mail's headers by name, each in the mail's order; with ``names`` only of those."""
    headers: dict[str, list[str]] = {}
    for name, value in mail.headers:
        if not names or name in names:
            headers.setdefault(name, []).append(value)
    return headers


def part_of(mail: Mail, number: int, insides: ContainerContents | None = None) -> bytes:
    """Return the beginning of the attachment ``number``, decoded; several of one mail are read by the same ``insides``."""
    part = mail.attachments[number].part
    data = (insides or ContainerContents(mail.source))(part.within).read(part.offset, min(part.length, 2 * PART))
    return b"".join(transfer_decoded([data], part.encoding))[:PART]


def texts(mail: Mail) -> Iterator[bytes]:
    """Yield the beginning of each part of a mail's readable text, html as it is, decoded but for its charset."""
    # Without parts in containers: no mail system makes any.
    parts = (part for part in parts_of(mail.body) if not part.within)
    for part in islice(parts, _MAX_PARTS):
        data = mail.source.read(part.offset, min(part.length, PART))
        yield b"".join(transfer_decoded([data], part.encoding))


def server_ids(words: str) -> tuple[str, ...]:
    """Return the ids that a server names in its answer when it takes a mail over, as far as nobody could guess them.

    >>> server_ids("250 Ok 0102018f3c2a4b5c-1d2e3f40-5a6b-7c8d-9e0f-a1b2c3d4e5f6-000000")
    ('0102018f3c2a4b5c-1d2e3f40-5a6b-7c8d-9e0f-a1b2c3d4e5f6-000000',)
    """
    found = dict.fromkeys(one[1] or one[2] for one in _SERVER_ID.finditer(words))
    return tuple(one for one in found if _is_server_id(one))[:_MAX_FOREIGN]


def _is_server_id(text: str) -> bool:
    digits = sum(character.isdigit() for character in text)
    letters = sum(character.isalpha() for character in text)
    return digits >= _GUESSABLE and letters >= _GUESSABLE and not text.lower().startswith("gw.")


def _carried(mail: Mail) -> list[bytes]:
    """Return the beginnings of the files that may hold a message, reports and messages first."""
    insides = ContainerContents(mail.source)
    files = list(enumerate(mail.attachments))
    messages = [number for number, one in files if one.type.startswith("message/") or one.name.lower().endswith(_MESSAGES)]
    texts = [number for number, one in files if one.type.startswith("text/") or one.name.lower().endswith(".txt")]
    numbers = list(dict.fromkeys((*messages, *texts)))[:_MAX_PARTS]
    return [part_of(mail, number, insides) for number in numbers]


def _named(data: Iterable[bytes]) -> list[str]:
    """Return what looks like ids of ours in these bytes; those that name a message within come first."""
    found = [(one, list(written_in(one))) for one in data]
    first = [one for piece, several in found if several for one in _message_ids([piece])]
    return [*first, *(one for _, several in found for one in several)][: 2 * _MAX_IDS]


def _message_ids(data: Iterable[bytes]) -> list[str]:
    return [found[1].decode("latin-1") for piece in data for found in list(_MESSAGE_ID.finditer(piece))[:_MAX_IDS]]


def _proven(found: Iterable[str], signer: Signer) -> tuple[str, ...]:
    likely = [one for one in found if "gw." in one[:8].lower()]
    return tuple(dict.fromkeys(filter(None, map(signer.proven, likely[: 2 * _MAX_IDS])))) if likely else ()


def _foreign(found: Iterable[str], signer: Signer) -> tuple[str, ...]:
    local = (one.strip("<>").partition("@")[0] for one in found if not signer.purpose(one))
    return tuple(dict.fromkeys(one for one in local if 24 <= len(one) <= 200 and _is_server_id(one)))[:_MAX_FOREIGN]  # noqa: PLR2004  as in _SERVER_ID
