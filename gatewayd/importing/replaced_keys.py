"""A key that names another message than is filed under it waits anew, and the message before gives it up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.api.ledger import Entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd.api.ledger import Lease
    from gatewayd.api.store import Store
    from gatewayd.api.values import Listed

__all__ = ["OTHERS", "wait_anew"]

#: So often what comes under one key is taken for another message: a server that sends others each time would fill the store.
OTHERS = 2


def wait_anew(store: Store, lease: Lease, folder: str, others: Sequence[tuple[Listed, int]], why: str) -> str:
    """Let keys of the folder wait, each given with how often it named another message before; return what a person must know.

    ``why`` says what differs. What is there now is backlog: nothing proves that it is new.
    """
    entries = [
        Entry(listed=one, backlog=True, cause=f"its key was another message's before: {why}", contradiction=why, others=before + 1)
        for one, before in others
    ]
    if (state := store.folder(lease.account, folder)) is not None:
        store.enter(lease, folder, entries, cursor=state.cursor, start_at=state.start_at)
    such = f"{len(others)} messages, such as {others[0][0].key}, are others than what was sent for them before ({why})"
    return f"{folder}: {such}: these are fetched as mail of their own"
