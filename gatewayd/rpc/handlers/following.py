"""Follow accounts, and ask for, share and refuse personal ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.access.activities import note
from gatewayd.desk import sharing
from gatewayd.rpc.calls import AnswerShare, AskShare, Count, Follow

if TYPE_CHECKING:
    from gatewayd.access.people import Person
    from gatewayd.rpc.tools import Tools

__all__ = ["answer", "ask", "follow"]


def follow(tools: Tools, person: Person, call: Follow) -> Count:
    """Follow an account, or don't."""
    changed = sharing.follow(tools.config, tools.store, person.viewer, [call.account], followed=call.followed)
    if changed:
        note(tools.store, person, "changed", detail=f"{'follows' if call.followed else 'no longer follows'} {call.account}")
    return Count(changed=changed)


def ask(tools: Tools, person: Person, call: AskShare) -> Count:
    """Ask the owner of a personal account to share it."""
    asked = sharing.ask_share(tools.config, tools.store, person.viewer, call.account)
    owner, is_new = asked or ("", False)
    if is_new:
        note(tools.store, person, "changed", detail=f"asks {owner} to share {call.account}")
    return Count(changed=int(is_new))


def answer(tools: Tools, person: Person, call: AnswerShare) -> Count:
    """Share the own account, or refuse, or end it."""
    config, store, viewer = tools.config, tools.store, person.viewer
    asked = any(
        (one.account, one.owner, one.user, one.state) == (call.account, person.user, call.user, "asked")
        for one in store.shares(viewer)
    )
    changed = True
    if call.agree:
        changed = sharing.share(config, store, viewer, call.account, call.user)
    elif asked:
        sharing.refuse_share(store, viewer, call.account, call.user)
    else:
        sharing.end_share(config, store, viewer, call.account, call.user)
    if changed:
        how = "shares" if call.agree else "refuses to share" if asked else "no longer shares"
        note(tools.store, person, "changed", detail=f"{how} {call.account} with {call.user}")
    return Count(changed=int(changed))
