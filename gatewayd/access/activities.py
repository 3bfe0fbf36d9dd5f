"""Note in the activity log what a person did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.api.web_sessions import Activity

if TYPE_CHECKING:
    from gatewayd.access.people import Person
    from gatewayd.api.store import Store
    from gatewayd.api.web_sessions import Deed

__all__ = ["note"]


def note(store: Store, person: Person, what: Deed, *mail_ids: int, detail: str = "") -> None:
    """Note what a person did, once for each mail that it was done to; once without any if it was done to none.

    ``detail`` are a few words that no deed says, and never a secret.
    """
    about: tuple[int | None, ...] = mail_ids or (None,)
    address = person.web_session.address
    store.note_activities(
        [
            Activity(operator=person.operator, who=person.user, what=what, mail_id=one, detail=detail, address=address)
            for one in about
        ]
    )
