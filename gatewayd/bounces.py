"""Bounces of our own deliveries: delivery status notifications (RFC 3464), told by a Message-ID that only we can have made.

What a report says in its text counts for nothing: only the fields of ``message/delivery-status`` do, and the id must stand
where the report's maker puts the returned mail's own. Nothing here ever raises for a mail.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gatewayd.decode import clean, header_text
from gatewayd.delivery import Bounce, Bounced
from gatewayd.header import split_head

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gatewayd.header import Fields
    from gatewayd.mail import Mail
    from gatewayd.signing import Signer

__all__ = ["bounce"]

#: How much is read of a report and of the returned mail, in bytes; how many recipients are, and characters of their words.
_MAX_READ = 1 << 16
_MAX_RECIPIENTS = 200
_MAX_WORDS = 500
_MAX_ADDRESS = 320

_REPORTS = {"message/delivery-status", "message/global-delivery-status"}
_RETURNED = {"message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers"}
_STATUS = re.compile(r"\b([245]\.[0-9]{1,3}\.[0-9]{1,3})\b", re.ASCII)
_CODE = re.compile(r"\b([245])[0-9]{2}\b", re.ASCII)
_XTEXT = re.compile(r"\+([0-9A-F]{2})")


def bounce(mail: Mail, signer: Signer) -> Bounce | None:
    """Return whose bounce the mail is; None where it is none, or none of a delivery of ours.

    Only recipients that were given up count (action ``failed``): a delay is no bounce.
    """
    if not _is_report(mail):
        return None
    blocks = _blocks(_part(mail, _REPORTS))
    recipients = [one for fields in blocks[1:] if (one := _recipient(fields))][:_MAX_RECIPIENTS]
    if not recipients:
        return None
    returned, _ = _split(_part(mail, _RETURNED))
    ours = next(filter(None, map(signer.proven, _ids(blocks[0], returned))), "")
    return Bounce(message_id=ours, recipients=tuple(recipients)) if ours else None


def _is_report(mail: Mail) -> bool:
    kind = next((value for name, value in mail.headers if name == "content-type"), "")
    return kind[:16].lower() == "multipart/report"


def _part(mail: Mail, types: set[str]) -> bytes:
    """Return the beginning of the first part of one of these types, decoded; empty where there is none."""
    number = next((number for number, one in enumerate(mail.attachments) if one.type in types), None)
    found = b""
    for piece in mail.attachment(number) if number is not None else ():
        found += piece[:_MAX_READ]
        if len(found) >= _MAX_READ:
            break
    return found[:_MAX_READ]


def _blocks(report: bytes) -> Sequence[Mapping[str, str]]:
    """Return the report's groups of fields: those of the mail, then those of each recipient (RFC 3464 section 2.1)."""
    found: list[Mapping[str, str]] = []
    report = report.replace(b"\r\n", b"\n")
    for block in report.split(b"\n\n"):
        fields, _ = _split(block.strip(b"\n") + b"\n")
        if fields and len(found) <= 2 * _MAX_RECIPIENTS:
            found.append(dict(reversed(fields)))
    # Some leave the empty line behind the first group out, or the group itself.
    if found and "final-recipient" in found[0]:
        found.insert(0, found[0])
    return found or [{}]


def _split(block: bytes) -> tuple[Fields, int]:
    return split_head(block, 0, len(block), _MAX_READ)


def _ids(report: Mapping[str, str], returned: Fields) -> Iterator[str]:
    """Yield where the Message-ID of what was returned can stand, the surest first.

    An inline forward has ours as its Resent-Message-ID, and the Message-ID of the original may be one of ours, too.
    """
    yield _XTEXT.sub(lambda found: chr(int(found[1], 16)), report.get("original-envelope-id", ""))
    yield report.get("x-original-message-id", "")
    yield from (value for name, value in returned if name == "resent-message-id")
    yield from (value for name, value in returned if name == "message-id")


def _recipient(fields: Mapping[str, str]) -> Bounced | None:
    """Return what a group says of a recipient that was given up; None for any other group."""
    address = _address(fields.get("original-recipient", "")) or _address(fields.get("final-recipient", ""))
    diagnostic = header_text(fields.get("diagnostic-code", "")).partition(";")
    said = clean(" ".join((diagnostic[2] if diagnostic[1] else diagnostic[0]).split()))
    status = _status(fields.get("status", ""), said)
    action = fields.get("action", "").partition(" ")[0].lower() or ("failed" if status.startswith("5") else "")
    if not address or action != "failed":
        return None
    words = said if status in said else f"{status} {said}".strip()
    return Bounced(address=address, hard=status.startswith("5"), words=words[:_MAX_WORDS] or "no reason was given")


def _status(value: str, diagnostic: str) -> str:
    """Return the status (RFC 3463), as the report says or else as the server's words do; 5.0.0 where nobody says."""
    found = _STATUS.search(value) or _STATUS.search(diagnostic)
    if found:
        return found[1]
    code = _CODE.search(diagnostic)
    return f"{code[1]}.0.0" if code else "5.0.0"


def _address(value: str) -> str:
    """Return the bare address of a recipient field (RFC 3464 section 2.3.1), without its type."""
    kind, semicolon, address = header_text(value).partition(";")
    return clean(address if semicolon else kind).strip(" \t<>")[:_MAX_ADDRESS]
