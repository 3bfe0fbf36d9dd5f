"""Mark, move or delete messages in Exchange. A message that is no longer there counts as done."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from gatewayd import AuthError, PermanentError
from gatewayd_office365.graph_requests import GraphRequest
from gatewayd_office365.in_flight import SeveralInFlight
from gatewayd_office365.reading import is_gone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd import Action, GatewaydError
    from gatewayd_office365.folders import FolderFinder
    from gatewayd_office365.graph import GraphClient
    from gatewayd_office365.graph_faults import GraphAnswer

__all__ = ["settle"]

#: After so many refusals one after the other, and nothing done, all is refused.
_ALL = 10


def settle(graph: GraphClient, finder: FolderFinder, keys: Sequence[str], action: Action) -> None:
    """Do it to each, several requests in flight. Raises PermanentError if Exchange refuses some for good, after all others."""
    target = finder.id_of(action.folder) if action.do == "move" else ""
    left: list[GatewaydError] = []
    done = 0
    with closing(SeveralInFlight(graph, [_asked(graph, key, action, target) for key in keys])) as several:
        for answer in several.answers():
            error = _refusal(answer)
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


def _asked(graph: GraphClient, key: str, action: Action, target: str) -> GraphRequest:
    if action.do == "seen":
        return GraphRequest(what="to mark a message", method="PATCH", target=graph.path("messages", key), data={"isRead": True})
    if action.do == "move":
        path = graph.path("messages", key, "move")
        return GraphRequest(what="to move a message", method="POST", target=path, data={"destinationId": target})
    # It stays among the recoverable items for as long as the tenant keeps them.
    return GraphRequest(what="to delete a message", method="DELETE", target=graph.path("messages", key))


def _refusal(answer: GraphAnswer) -> GatewaydError | None:
    if answer.is_good or is_gone(answer):
        return None
    error = answer.error
    if not isinstance(error, AuthError | PermanentError):
        raise error
    return error
