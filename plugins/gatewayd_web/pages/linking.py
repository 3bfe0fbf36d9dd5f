"""Link mail to records by hand: choose a type, search, tick, save; and take links away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd import KINDS, Query, calls

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.responses import Response

    from gatewayd import Kind
    from gatewayd_web.access import Visit

__all__ = ["link", "save", "unlink"]

#: As many mails are linked at once, and records shown.
_MAILS, _RECORDS = 100, 50


def link(visit: Visit) -> Response:
    """Show the form, and the records that fit the words."""
    kind, words = _kind(visit), visit.field("words").strip()[:200]
    ids = visit.numbers("mail")[:_MAILS]
    filings = visit.reader.store.filings(visit.person.viewer, Query(ids=ids, limit=_MAILS)) if ids else []
    found: tuple[calls.RecordRow, ...] = ()
    if words and filings:
        call = calls.FindRecords(token=visit.token, kind=kind, words=words, limit=_RECORDS)
        found = visit.ask(call, calls.Records).records
    template = "link_part.html" if visit.is_fragment else "link.html"
    return visit.page(
        template,
        filings=filings,
        kinds=KINDS,
        kind=kind,
        words=words,
        records=found,
        most=_RECORDS,
        back=visit.back_path(_after(ids)),
    )


def save(visit: Visit) -> Response:
    """Link all of the mails to the ticked records."""
    ids, records = visit.numbers("mail")[:_MAILS], tuple(visit.fields("record"))[:_MAILS]
    if ids and records:
        visit.ask(calls.LinkMail(token=visit.token, mail_ids=ids, kind=_kind(visit), ids=records), calls.Count)
    return visit.back(_after(ids))


def unlink(visit: Visit) -> Response:
    """Take one link of a mail away, whoever made it."""
    (mail_id,), record = visit.numbers("mail")[:1] or (0,), visit.field("record")
    if mail_id and record:
        visit.ask(calls.UnlinkMail(token=visit.token, mail_id=mail_id, kind=_kind(visit), ids=(record,)), calls.Count)
    return visit.back(f"/emails/{mail_id}" if mail_id else "/emails")


def _after(ids: Sequence[int]) -> str:
    """Return where people go who don't say where they were: to the one mail, or the list."""
    return f"/emails/{ids[0]}" if len(ids) == 1 else "/emails"


def _kind(visit: Visit) -> Kind:
    given = visit.field("kind")
    return next((one for one in KINDS if one == given), KINDS[0])
