"""Mark, move or delete messages in Exchange. A message that is no longer there counts as done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd import AuthError, PermanentError
from gatewayd_office365.graph_requests import GraphRequest
from gatewayd_office365.reading import is_gone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd import Action, GatewaydError
    from gatewayd_office365.folders import FolderFinder
    from gatewayd_office365.graph import GraphClient

__all__ = ["settle"]

#: After so many refusals one after the other, and nothing done, all is refused.
_ALL = 10


def settle(graph: GraphClient, finder: FolderFinder, keys: Sequence[str], action: Action) -> None:
    """Do it to each. Raises PermanentError if Exchange refuses some for good, after it was done to the others."""
    target = finder.id_of(action.folder) if action.do == "move" else ""
    left: list[GatewaydError] = []
    done = 0
    for key in keys:
        error = _refusal(graph, key, action, target)
        if error is None:
            done += 1
        else:
            left.append(error)
        if left and not done and len(left) >= min(_ALL, len(keys)):
            break
    if left:
        # Also where the app may only read: it imports still.
        what = f"{left[0].message}: {action}: {len(keys) - done} of {len(keys)} messages"
        raise PermanentError(what, advice=left[0].advice)


def _refusal(graph: GraphClient, key: str, action: Action, target: str) -> GatewaydError | None:
    asked = {
        "seen": GraphRequest(what="to mark a message", method="PATCH", target=graph.path("messages", key), data={"isRead": True}),
        "move": GraphRequest(
            what="to move a message", method="POST", target=graph.path("messages", key, "move"), data={"destinationId": target}
        ),
        # It stays among the recoverable items for as long as the tenant keeps them.
        "delete": GraphRequest(what="to delete a message", method="DELETE", target=graph.path("messages", key)),
    }[action.do]
    answer = graph.request(asked)
    if answer.is_good or is_gone(answer):
        return None
    error = answer.error
    if not isinstance(error, AuthError | PermanentError):
        raise error
    return error
