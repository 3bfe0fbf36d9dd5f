"""Recognise a bounce of one of our deliveries: a report for programs (RFC 3464), or a letter in which a server reports it in words.

A bounce is known as ours by a Message-ID that only we can have made, or by the id that a server gave our mail when it took it. It
must be the id of the mail that came back: a report may quote other mail of ours. A bounce that rests on a letter's words alone is
marked as such, and counts for less. No mail makes these functions raise.
"""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from gatewayd.api.delivery import Bounce, Bounced
from gatewayd.message.control_characters import clean
from gatewayd.message.encoded_words import header_text
from gatewayd.message.header_parsing import split_head
from gatewayd.message.lexing import uncommented
from gatewayd.message.message_ids import HOP, is_reference, written_in
from gatewayd.outgoing.bounce_phrases import CODE, is_about_failure, is_answer, is_permanent
from gatewayd.outgoing.mail_systems import (
    delayed,
    failure,
    from_daemon,
    notice,
    null_sent,
    robot_mark,
    sent_by_daemon,
    sent_by_its_author,
)
from gatewayd.outgoing.provenance import PART, part_of, provenance, texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gatewayd.api.delivery import Evidence
    from gatewayd.message.header_parsing import Fields
    from gatewayd.message.mail import Mail
    from gatewayd.message.message_ids import Signer

__all__ = ["bounce"]

#: The most recipients that are read of a report, addresses of a letter, and characters of their words.
_MAX_RECIPIENTS = 200
_MAX_ADDRESSES = 50
_MAX_WORDS = 500
_MAX_ADDRESS = 320

_REPORTS = {"message/delivery-status", "message/global-delivery-status"}
_RETURNED = {"message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers", "message/partial"}
#: A complaint (RFC 5965) and a receipt (RFC 8098) return our mail, too.
_COMPLAINT = "message/feedback-report"
_RECEIPTS = {"message/disposition-notification", "message/global-disposition-notification"}

_EMPTY_LINE = re.compile(rb"\n[ \t]*+\n")
#: A status (RFC 3463) and a reply code, and no piece of an address, a version or a date.
_STATUS = re.compile(r"(?<![\w.-])([245]\.[0-9]{1,3}\.[0-9]{1,3})(?![\w-]|\.\w)", re.ASCII)
_REPLY = re.compile(r"(?<![\w.:/-])([245])[0-5][0-9](?![\w.:/])", re.ASCII)
#: A character beyond ASCII in a report in UTF-8 (RFC 6533 section 3).
_ESCAPED = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")
_XTEXT = re.compile(r"\+([0-9A-F]{2})")
#: Beginnings of actions that mean given up: some servers have words of their own beside ``failed``.
_FAILED = ("fail", "expired", "undeliver", "bounced", "error", "denied", "rejected")
#: Lines of a letter that only say whose mail it is about; and mailboxes that are named for help.
_SUMMARY = re.compile(
    r"^[> \t]{0,40}(?:from|to|cc|bcc|sender|reply-to|return-path|mail from)[ \t]*:.*$", re.IGNORECASE | re.MULTILINE
)
_HELPERS = ("postmaster@", "mailer-daemon@", "hostmaster@", "abuse@", "support@", "helpdesk@")
_AROUND = ".'`*{}|#"
_EMAIL = re.compile(r"[\w!#$%&'*+/=?^`{|}~.-]{1,64}@[A-Za-z0-9][A-Za-z0-9.-]{0,252}[A-Za-z0-9]")
#: The Message-ID of a mail that is returned within a text; and a second name of ours that ends a header.
_MESSAGE_ID = re.compile(
    rb"^[> \t]*+(?:resent-)?message-id:[ \t]*+(?:\r?\n[> \t]++)?(?:<|&lt;)?([^<>&\s]{1,400}+)",
    re.IGNORECASE | re.MULTILINE,
)
_LAST = re.compile(
    rb"(gw\.[fm]\.[a-z2-7]{24}\.[a-z2-7]{24}\.r@[a-z0-9.-]{1,255}+)>?+[ \t]*+(?=\r?\n[^ \t]|\r?\n\Z|\Z)", re.IGNORECASE
)


def bounce(mail: Mail, signer: Signer, *, renamed: Mapping[str, str] = MappingProxyType({})) -> Bounce | None:
    """Return the bounce that the mail is; None if it is none of a delivery of ours.

    Only recipients that were given up count: a delay is no bounce. ``renamed`` has Message-IDs of ours by the ids that servers gave
    them, up to the @.
    """
    # A mail system's From, the null sender, or a subject that no person writes.
    report = _content_type(mail).startswith("multipart/report") or from_daemon(mail) or null_sent(mail)
    report = report or (is_about_failure(mail.subject) and not sent_by_its_author(mail))
    if not report or _is_other(mail):
        return None
    blocks = _blocks(_part(mail, _REPORTS))
    named = _named(mail, blocks[0], signer, renamed)
    if named is None:
        return None
    groups = [fields for fields in blocks[1:] if _is_group(fields)]
    if groups:
        recipients, evidence = tuple(filter(None, map(_recipient, groups)))[:_MAX_RECIPIENTS], named.evidence
    else:
        recipients, evidence = _told(mail) if _is_letter(mail, named) else (), "text"
    return Bounce(message_id=named.message_id, recipients=recipients, evidence=evidence) if recipients else None


def _is_letter(mail: Mail, named: _Named) -> bool:
    """Whether its words are believed: a mail system wrote them, and no robot or person, who may quote anything."""
    kind = _content_type(mail)
    if sent_by_daemon(mail) or (kind.startswith("multipart/report") and "delivery-status" in kind):
        return True
    if is_answer(mail.subject):
        return False
    if from_daemon(mail):
        return null_sent(mail) or is_about_failure(mail.subject) or named.returned
    # Robots answer with the null sender, too (RFC 3834 section 5.1); but some mail systems mark their reports as answers.
    replied = any(name == "auto-submitted" and "auto-replied" in value[:1000].lower() for name, value in mail.headers)
    said = not replied or bool(CODE.search(notice(mail)))
    return named.returned and (is_about_failure(mail.subject) or (named.evidence == "report" and said))


def _is_other(mail: Mail) -> bool:
    """Whether it is a complaint, a receipt or a robot's answer."""
    if "feedback-report" in _content_type(mail) or any(one.type == _COMPLAINT or one.type in _RECEIPTS for one in mail.attachments):
        # Dovecot writes what it rejects as if somebody had deleted it (RFC 5429 section 2.2.1).
        receipts = any(one.type in _RECEIPTS for one in mail.attachments)
        return not (receipts and from_daemon(mail))
    return bool(robot_mark(mail))


def _content_type(mail: Mail) -> str:
    for name, value in mail.headers:
        if name == "content-type":
            return value[:1000].lower()
    return ""


# --- which mail came back ---------------------------------------------------------------------------------------------


class _Named(NamedTuple):
    """A mail of ours that is named as the one that came back."""

    message_id: str
    #: Where it is named.
    evidence: Evidence
    #: The mail itself, or its header, is there.
    returned: bool


def _named(mail: Mail, report: Mapping[str, str], signer: Signer, renamed: Mapping[str, str]) -> _Named | None:
    """Return which mail of ours came back, by the surest id in it; None if it is none of ours."""
    part = _part(mail, _RETURNED)
    returned, _ = split_head(part, 0, len(part), PART)
    # A mail of ours whose Message-ID was replaced has a second name, which ends its References, and those of no answer to it.
    references = [value.split()[-1:] for name, value in returned if name == "references"]
    for found in (*_ids(report, returned), *(one for last in references for one in last if is_reference(one))):
        if message_id := signer.proven(found) or renamed.get(_local(found), ""):
            return _Named(message_id, "report", bool(returned))
    within = b"\n".join(texts(mail))
    ids = [value for name, value in returned if name == "message-id"] or [
        one[1].decode("latin-1") for one in _MESSAGE_ID.finditer(within)
    ]
    if ids:
        # It names the mail that it returns: no other mail that it quotes or answers is meant.
        second = next((one[1].decode("ascii") for one in _LAST.finditer(within)), "")
        message_id = next((one for each in (ids[0], second) if (one := signer.proven(each) or renamed.get(_local(each), ""))), "")
        return _Named(message_id, "text", returned=True) if message_id else None
    known = provenance(mail, signer)
    if known.answered:
        return _Named(known.answered[0], "report", returned=False)
    answered = next((renamed[one] for one in known.foreign if one in renamed), "")
    if answered:
        return _Named(answered, "report", returned=False)
    somewhere = (*known.carried, *known.mentioned)
    return _Named(somewhere[0], "text", returned=False) if somewhere else None


def _ids(report: Mapping[str, str], returned: Fields) -> Iterator[str]:
    """Yield the fields that may hold the Message-ID of the returned mail, the surest first.

    An inline forward has ours as its Resent-Message-ID, and the Message-ID of the original may be one of ours, too.
    """
    yield _XTEXT.sub(lambda found: chr(int(found[1], 16)), report.get("original-envelope-id", ""))
    yield report.get("x-original-message-id", "")
    yield from (value for name, value in returned if name == "resent-message-id")
    yield from [value for name, value in returned if name == HOP.lower()][:1]
    yield from (value for name, value in returned if name == "message-id")


def _local(message_id: str) -> str:
    return message_id.strip().strip("<>").partition("@")[0]


# --- what a report says -----------------------------------------------------------------------------------------------


def _part(mail: Mail, types: set[str]) -> bytes:
    """Return the beginning of the first part of one of these types, decoded; empty if there is none."""
    number = next((number for number, one in enumerate(mail.attachments) if one.type in types), None)
    return part_of(mail, number) if number is not None else b""


def _blocks(report: bytes) -> Sequence[Mapping[str, str]]:
    """Return the report's groups of fields: those of the mail, then those of each recipient (RFC 3464 section 2.1)."""
    found: list[Mapping[str, str]] = []
    for block in _EMPTY_LINE.split(report.replace(b"\r\n", b"\n"), 2 * _MAX_RECIPIENTS):
        lines = block.strip(b"\n") + b"\n"
        fields, _ = split_head(lines, 0, len(lines), PART)
        if fields:
            found.append(dict(reversed(fields)))
    # Some servers leave out the empty line behind the first group, or the group itself.
    if found and _is_group(found[0]):
        found.insert(0, found[0])
    return found or [{}]


def _is_group(fields: Mapping[str, str]) -> bool:
    return any(name in fields for name in ("final-recipient", "original-recipient", "action", "x-actual-recipient"))


def _recipient(fields: Mapping[str, str]) -> Bounced | None:
    """Return the recipient of a group if it was given up; None for any other group."""
    names = ("original-recipient", "final-recipient", "x-actual-recipient")
    address = next(filter(None, (_address(fields[name]) for name in names if name in fields)), "")
    diagnostic = header_text(fields.get("diagnostic-code", "")).partition(";")
    said = clean(" ".join((diagnostic[2] if diagnostic[1] else diagnostic[0]).split()))
    status = _status(fields.get("status", ""), said)
    action = fields.get("action", "").strip().lower() or ("failed" if status.startswith("5") else "")
    if not any(name in fields for name in names) or not action.startswith(_FAILED):
        return None
    words = said if status in said else f"{status} {said}".strip()
    hard = status.startswith("5") and not action.startswith("expired")
    return Bounced(address=address, hard=hard, words=words[:_MAX_WORDS] or "no reason was given")


def _status(value: str, diagnostic: str) -> str:
    """Return the status (RFC 3463): the report's field, else the one in the server's words, else 5.0.0."""
    found = _STATUS.search(value) or _STATUS.search(diagnostic)
    if found:
        return found[1]
    code = _REPLY.search(diagnostic)
    return f"{code[1]}.0.0" if code else "5.0.0"


def _address(value: str) -> str:
    """Return the bare address of a recipient field (RFC 3464 section 2.3.1), without its type; empty for no address."""
    kind, semicolon, address = header_text(value[: 4 * _MAX_ADDRESS]).partition(";")
    address = uncommented(address if semicolon else kind)
    if "<" in address:
        address = address.partition("<")[2].partition(">")[0]
    unescaped = _ESCAPED.sub(lambda found: chr(number) if (number := int(found[1], 16)) <= sys.maxunicode else "", address)
    address = clean(unescaped).strip(" \t>'\"")
    local, _, domain = address.rpartition("@")
    return address[:_MAX_ADDRESS] if local and domain and len(address.split()) == 1 else ""


# --- what a letter says -----------------------------------------------------------------------------------------------


def _told(mail: Mail) -> tuple[Bounced, ...]:
    """Return the recipients that a letter reports as not reached; one without an address if it names nobody."""
    letter = notice(mail)
    said = failure(mail, letter)
    listed = ", ".join(value for name, value in mail.headers if name == "x-failed-recipients")
    if not said and (not listed or delayed(mail, letter)):
        return ()
    words = clean(" ".join(said.split()))[:_MAX_WORDS] or "no reason was given"
    coded = _STATUS.search(said) or _REPLY.search(said)
    one = Bounced(address="", hard=_status(said, said).startswith("5") if coded else is_permanent(letter), words=words)
    return tuple(replace(one, address=address) for address in _addressed(mail, listed or letter)) or (one,)


def _addressed(mail: Mail, letter: str) -> list[str]:
    """Return the addresses that a letter reports as not reached: without those of the mail itself and those for help."""
    ours = {each.email.casefold() for each in (*mail.to, *mail.from_)}
    for text in (_SUMMARY.sub("", letter), letter):
        found = dict.fromkeys(each[0].strip(_AROUND)[:_MAX_ADDRESS] for each in _EMAIL.finditer(text))
        named = [each for each in found if each.casefold() not in ours and not any(written_in(each.encode()))]
        if several := [each for each in named if not each.lower().startswith(_HELPERS)]:
            return several[:_MAX_ADDRESSES]
    return []
