"""Mark and link mail, search the records to link it to, and note who read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.access.activities import note
from gatewayd.access.people import may
from gatewayd.rpc.calls import Count, FindRecords, LinkMail, Mark, NoteReading, Nothing, RecordRow, Records, UnlinkMail

if TYPE_CHECKING:
    from gatewayd.access.people import Person
    from gatewayd.rpc.tools import Tools

__all__ = ["find_records", "link", "mark", "note_reading", "unlink"]


def note_reading(tools: Tools, person: Person, call: NoteReading) -> Nothing:
    """Note it in the activity log, for mail that the person may see. What a reader opens stays unread for the others."""
    unread = tools.desk.get(person.viewer, call.mail_id).unread
    if unread and call.what == "opened" and may(person.role, "agent"):
        tools.store.mark(person.viewer, [call.mail_id], unread=False)
    note(tools.store, person, call.what, call.mail_id, detail=call.detail)
    return Nothing()


def mark(tools: Tools, person: Person, call: Mark) -> Count:
    """Mark mail as read or unread."""
    return Count(changed=tools.store.mark(person.viewer, call.mail_ids, unread=call.unread))


def link(tools: Tools, person: Person, call: LinkMail) -> Count:
    """Link each mail to the same records."""
    changed = 0
    linked: list[int] = []
    try:
        for one in call.mail_ids:
            new = tools.desk.link(person.viewer, one, call.kind, call.ids, who=person.user)
            changed += new
            linked += [one] if new else []
    finally:
        if linked:
            note(tools.store, person, "linked", *linked, detail=_records(call))
    return Count(changed=changed)


def unlink(tools: Tools, person: Person, call: UnlinkMail) -> Count:
    """Remove links of one mail."""
    changed = tools.desk.unlink(person.viewer, call.mail_id, call.kind, call.ids, who=person.user)
    if changed:
        note(tools.store, person, "unlinked", call.mail_id, detail=_records(call))
    return Count(changed=changed)


def find_records(tools: Tools, person: Person, call: FindRecords) -> Records:
    """Search the directory of the person's operator."""
    found = tools.desk.search(person.operator, call.kind, call.words, limit=call.limit)
    return Records(records=tuple(RecordRow(kind=one.kind, id=one.id, label=one.label) for one in found))


def _records(call: LinkMail | UnlinkMail) -> str:
    return f"{call.kind} {', '.join(call.ids)}"
