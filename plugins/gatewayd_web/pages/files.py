"""The files of a mail, and its raw bytes: to be saved, never to be opened by us."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.responses import StreamingResponse

from gatewayd import calls
from gatewayd_web.pages.one_mail import id_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.responses import Response

    from gatewayd_web.access import Visit

__all__ = ["attachment", "raw"]

#: The types that a browser may be told, since it saves them in any case: what a file manager opens by them is harmless.
_TYPES = frozenset({"application/pdf", "image/gif", "image/jpeg", "image/png", "image/webp", "text/csv", "text/plain"})
_POLICY = "sandbox; default-src 'none'; frame-ancestors 'none'"
#: Characters of a name, and those that no file system should get.
_LONGEST = 120
_UNFIT = str.maketrans(dict.fromkeys('/\\:*?"<>|', "_"))


def attachment(visit: Visit) -> Response:
    """Return a file of a mail by its number, decoded."""
    mail_id, number = id_of(visit), visit.request.path_params["number"]
    viewer, desk = visit.person.viewer, visit.reader.desk
    pieces = desk.attachment(viewer, mail_id, number)
    file = desk.files(desk.get(viewer, mail_id), desk.mail(viewer, mail_id))[number - 1]
    note = calls.NoteReading(token=visit.token, what="downloaded", mail_id=mail_id, detail=file.name[:200])
    visit.tell(note)
    return _saved(pieces, file.name, file.type)


def raw(visit: Visit) -> Response:
    """Return a mail as it came from the server."""
    mail_id = id_of(visit)
    view = visit.reader.desk.mail(visit.person.viewer, mail_id)
    visit.tell(calls.NoteReading(token=visit.token, what="downloaded", mail_id=mail_id, detail="as it came"))
    return _saved(view.raw(), f"mail-{mail_id}.eml", "message/rfc822")


def _saved(pieces: Iterator[bytes], name: str, kind: str) -> Response:
    return StreamingResponse(
        pieces,
        media_type=kind if kind in _TYPES else "application/octet-stream",
        headers={"Content-Disposition": disposition(name), "Content-Security-Policy": _POLICY},
    )


def disposition(name: str) -> str:
    """Return the header by which a browser saves a file under a name (RFC 6266, RFC 8187), whatever the mail calls it."""
    shown = "".join(one for one in name.translate(_UNFIT) if one.isprintable()).strip(". ")
    # The end of a name says how it is opened.
    stem, dot, end = shown.rpartition(".")
    shown = f"{stem[: _LONGEST - len(end)]}{dot}{end}" if stem and len(end) < _LONGEST // 4 else shown[:_LONGEST]
    shown = shown or "file"
    plain = "".join(one if one.isascii() and one not in "%;" else "_" for one in shown)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(shown, safe='')}"
