"""Which accounts a person follows, and which personal ones people share with each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gatewayd import calls, following, shares
from gatewayd_web.pages.settings import changed, section_page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.responses import Response

    from gatewayd_web.access import Visit

__all__ = ["PersonalAccount", "Shared", "answer", "ask", "follow", "subscriptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """How an account is shared with one user."""

    user: str
    #: What the two agreed on; empty for nothing.
    state: Literal["", "asked", "agreed", "refused"] = ""
    #: The account's file shares it, which an administrator alone ends.
    by_file: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalAccount:
    """A personal account, and with whom it is shared."""

    account: str
    description: str
    shared: Sequence[Shared]


def subscriptions(visit: Visit) -> Response:
    """Show them all."""
    config, person = visit.reader.config, visit.person
    users = config.operators[person.operator].users
    found = _mailboxes(visit)
    colleagues = {name: found.get(name, []) for name in sorted(users, key=lambda name: users[name].name) if name != person.user}
    own = found.get(person.user, [])
    return section_page(
        visit,
        "subscriptions",
        asking=[(box, share) for box in own for share in box.shared if share.state == "asked"],
        accounts=following(config, visit.reader.store, person.viewer),
        descriptions={name: one.description for name, one in config.accounts.items()},
        own=own,
        colleagues=colleagues,
        users=users,
    )


def follow(visit: Visit) -> Response:
    """Follow an account, or don't."""
    call = calls.Follow(token=visit.token, account=visit.field("account")[:200] or "-", followed=visit.field("followed") == "yes")
    visit.ask(call, calls.Count)
    return changed("subscriptions")


def ask(visit: Visit) -> Response:
    """Ask the user of an account to share it."""
    visit.ask(calls.AskShare(token=visit.token, account=visit.field("account")[:200] or "-"), calls.Count)
    return changed("subscriptions")


def answer(visit: Visit) -> Response:
    """Share the own account, or don't."""
    account, user = visit.field("account")[:200] or "-", visit.field("user")[:200] or "-"
    visit.ask(calls.AnswerShare(token=visit.token, account=account, user=user, agree=visit.field("agree") == "yes"), calls.Count)
    return changed("subscriptions")


def _mailboxes(visit: Visit) -> dict[str, list[PersonalAccount]]:
    """Return the personal accounts of the operator by their users: the own with all whom they are shared with, others with that."""
    config, person = visit.reader.config, visit.person
    said = shares(config, visit.reader.store, person.viewer)
    found: dict[str, list[PersonalAccount]] = {}
    for name, one in sorted(config.accounts.items()):
        if one.user is None or one.imports is None or person.operator not in one.operators:
            continue
        here = [(share, by) for share, by in said if (share.account, share.owner) == (name, one.user)]
        by_file = {share.user for share, by in here if by == "file"}
        states = {share.user: share.state for share, by in here if by == "owner"}
        whom = sorted(by_file | {*states}) if one.user == person.user else [person.user]
        shared = [Shared(user=user, state=states.get(user, ""), by_file=user in by_file) for user in whom]
        found.setdefault(one.user, []).append(PersonalAccount(account=name, description=one.description, shared=shared))
    return found
