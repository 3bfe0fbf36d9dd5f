"""Find the person behind the token of a web session, and what the person may do. The daemon and the pages ask the same question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewayd.access.tokens import digest_of
from gatewayd.api.web_sessions import ROLES
from gatewayd.desk.following import viewer_of

if TYPE_CHECKING:
    from gatewayd.api.queries import Viewer
    from gatewayd.api.store import Store
    from gatewayd.api.web_sessions import Role, WebSession
    from gatewayd.config import Config

__all__ = ["Person", "may", "person_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A user who is logged in, as the config has that user now."""

    operator: str
    user: str
    role: Role
    #: As whom the person asks the store (promise P6).
    viewer: Viewer
    web_session: WebSession


def person_of(config: Config, store: Store, token: str) -> Person | None:
    """Return who has this token, by one query; None if nobody has, the web session has ended, or the user is not in the config.

    Of an operator whose file can't be read, nobody is known. Raises what verbs raise.
    """
    digest = digest_of(token)
    times = config.web.sessions
    found = store.web_session(digest, idle=times.idle, longest=times.longest) if digest else None
    operator = config.operators.get(found.operator) if found else None
    if found is None or operator is None or found.user not in operator.users:
        return None
    return Person(
        operator=found.operator,
        user=found.user,
        role=operator.users[found.user].role,
        viewer=viewer_of(config, found.operator, [found.user]),
        web_session=found,
    )


def may(role: Role, needed: Role) -> bool:
    """Whether a role is enough where ``needed`` is the least that is."""
    return ROLES.index(role) >= ROLES.index(needed)
