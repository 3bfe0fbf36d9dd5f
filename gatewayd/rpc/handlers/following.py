"""Follow accounts, and ask for, share and refuse personal ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.desk import sharing
from gatewayd.rpc.calls import AnswerShare, AskShare, Count, Follow

if TYPE_CHECKING:
    from gatewayd.access.people import Person
    from gatewayd.rpc.tools import Tools

__all__ = ["answer", "ask", "follow"]


def follow(tools: Tools, person: Person, call: Follow) -> Count:
    """Follow an account, or don't."""
    changed = sharing.follow(tools.config, tools.store, person.viewer, [call.account], followed=call.followed)
    return Count(changed=changed)


def ask(tools: Tools, person: Person, call: AskShare) -> Count:
    """Ask the owner of a personal account to share it."""
    owner = sharing.ask_share(tools.config, tools.store, person.viewer, call.account)
    return Count(changed=int(owner is not None))


def answer(tools: Tools, person: Person, call: AnswerShare) -> Count:
    """Share the own account, or refuse, or end it."""
    config, store, viewer = tools.config, tools.store, person.viewer
    if call.agree:
        return Count(changed=int(sharing.share(config, store, viewer, call.account, call.user)))
    asked = any(
        (one.account, one.owner, one.user, one.state) == (call.account, person.user, call.user, "asked")
        for one in store.shares(viewer)
    )
    if asked:
        sharing.refuse_share(store, viewer, call.account, call.user)
    else:
        sharing.end_share(config, store, viewer, call.account, call.user)
    return Count(changed=1)
