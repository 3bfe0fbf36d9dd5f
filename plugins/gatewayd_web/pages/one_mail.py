"""One mail: its headers, text, files and relations, and what became of what was sent because of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse

from gatewayd import DeliveryQuery, calls
from gatewayd_web.authentication import results_of
from gatewayd_web.conversation import conversation
from gatewayd_web.safe_html import frame_headers, safe_page
from gatewayd_web.senders import stranger

if TYPE_CHECKING:
    from starlette.responses import Response

    from gatewayd import Mail
    from gatewayd_web.access import Visit

__all__ = ["frame", "mail", "mark", "printed"]

#: At most so many deliveries are shown, and headers.
_DELIVERIES, _HEADERS = 20, 200
#: Of an address or header of any length so much is read.
_LONGEST = 2000
#: So many characters are printed.
_PRINTED = 200_000


def mail(visit: Visit) -> Response:
    """Show it. Who may mark mail has read it then."""
    mail_id, viewer, desk = id_of(visit), visit.person.viewer, visit.reader.desk
    filing, view = desk.get(viewer, mail_id), desk.mail(viewer, mail_id)
    visit.tell(calls.NoteReading(token=visit.token, what="opened", mail_id=mail_id))
    colleagues = visit.reader.config.operators[viewer.operator].users.values()
    return visit.page(
        "one_mail.html",
        filing=filing,
        mail=view,
        list=_list(visit),
        reply_to=_reply_to(view),
        headers=view.headers[:_HEADERS],
        files=list(enumerate(desk.files(filing, view), 1)),
        listed=len(filing.attachments),
        safe=safe_page(view),
        authentication=results_of(view),
        stranger=stranger(visit.reader.store, viewer, filing, [one.email for one in colleagues]),
        thread=conversation(visit.reader.store, viewer, view),
        deliveries=visit.reader.store.deliveries(viewer, DeliveryQuery(mail_id=mail_id, limit=_DELIVERIES)),
        pictures=visit.field("pictures") == "yes",
    )


def _list(visit: Visit) -> str:
    """Return the address of the list that the person comes from, with its filters; else of the list."""
    _, _, path = visit.request.headers.get("referer", "")[:_LONGEST].partition("://")
    _, _, query = path.partition("/emails?")
    return f"/emails?{query}" if path == f"{visit.request.url.netloc}/emails?{query}" else "/emails"


def _reply_to(view: Mail) -> str:
    """Return whom answers go to, as the mail has it; empty where it is who the mail is from."""
    given = next((value for name, value in view.headers if name == "reply-to"), "")
    return "" if view.sender and view.sender.key in given.lower() else given[:_LONGEST]


def printed(visit: Visit) -> Response:
    """Show it as it is printed: its words, since nobody knows how long a frame is."""
    mail_id, desk = id_of(visit), visit.reader.desk
    filing, view = desk.get(visit.person.viewer, mail_id), desk.mail(visit.person.viewer, mail_id)
    visit.tell(calls.NoteReading(token=visit.token, what="opened", mail_id=mail_id))
    return visit.page("print.html", filing=filing, mail=view, text=view.text[:_PRINTED])


def frame(visit: Visit) -> Response:
    """Return the text of a mail for the frame that shows it, which runs and fetches nothing."""
    pictures = visit.field("pictures") == "yes"
    view = visit.reader.desk.mail(visit.person.viewer, id_of(visit))
    headers = frame_headers(pictures=pictures, ancestors=visit.reader.config.web.frame_ancestors)
    return HTMLResponse(safe_page(view, pictures=pictures).document, headers=headers)


def mark(visit: Visit) -> Response:
    """Mark it as unread, and go back to the list."""
    visit.ask(calls.Mark(token=visit.token, mail_ids=(id_of(visit),), unread=True), calls.Count)
    return visit.back("/emails")


def id_of(visit: Visit) -> int:
    """Return the id in the address of a page of one mail."""
    found: int = visit.request.path_params["mail"]
    # No store has a larger one.
    return min(found, (1 << 63) - 1)
