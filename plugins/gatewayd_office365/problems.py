"""Find what would keep an account from working, for ``check --online``: the mailbox, folders, permissions. Changes nothing."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from gatewayd import AuthError, PermanentError
from gatewayd_office365.graph_requests import GraphRequest
from gatewayd_office365.json_objects import json_object, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd import Action
    from gatewayd_office365.folders import FolderFinder
    from gatewayd_office365.graph import GraphClient

__all__ = ["problems", "sending_problems"]

#: An id that no message has: what is asked of it changes nothing, and is refused where the app lacks the permission.
_NOBODYS = "AAAA"
_GRANT = (
    "grant it in the Microsoft Entra admin center, App registrations, your app, API permissions, or by RBAC for Applications in "
    "Exchange, which no token shows"
)


def problems(graph: GraphClient, finder: FolderFinder, folders: Sequence[str], action: Action | None) -> list[str]:
    """See ``Session.problems``."""
    told = _shut(graph, "inbox")
    if told:
        return [told]
    found = [*_missing(finder, folders)]
    if action is not None and action.do == "move":
        found += _missing(finder, [action.folder])
    if action is not None and _may_not(graph, "PATCH"):
        found.append(f"`after: {action}` needs the permission Mail.ReadWrite, and {_roles(graph)}: {_GRANT}")
    return found


def sending_problems(graph: GraphClient) -> list[str]:
    """See ``Courier.problems``."""
    told = _shut(graph, "drafts")
    if told:
        return [told]
    asked = {"Mail.ReadWrite": ("PATCH",), "Mail.Send": ("POST", "send")}
    lacks = [name for name, (method, *path) in asked.items() if _may_not(graph, method, *path)]
    return [f"to send needs the permission {' and '.join(lacks)}, and {_roles(graph)}: {_GRANT}"] if lacks else []


def _shut(graph: GraphClient, folder: str) -> str:
    """Return why the mailbox can't be read; empty if it can."""
    target = graph.path("mailFolders", folder, query="$select=id")
    answer = graph.request(GraphRequest(what=f"the folder {folder}", target=target))
    if answer.is_good:
        return ""
    error = answer.error
    return f"{error.message}; {_roles(graph)}: {error.advice}" if isinstance(error, AuthError) else error.sentences


def _may_not(graph: GraphClient, method: str, *path: str) -> bool:
    """Whether the app may not do this to a message. Exchange is asked: a token does not show what RBAC grants."""
    target = graph.path("messages", _NOBODYS, *path)
    data = {"isRead": True} if method == "PATCH" else None
    answer = graph.request(GraphRequest(what="to see what the app may do", method=method, target=target, data=data))
    return not answer.is_good and isinstance(answer.error, AuthError)


def _roles(graph: GraphClient) -> str:
    """Return in words what the token shows, which is a hint only."""
    roles = _roles_of(graph.token())
    return f"the access token has {', '.join(roles)}" if roles else "the access token has no permission (`roles`)"


def _missing(finder: FolderFinder, folders: Sequence[str]) -> Iterator[str]:
    for folder in folders:
        try:
            finder.find(folder)
        except PermanentError as error:
            yield error.sentences


def _roles_of(token: str) -> list[str]:
    """Return the permissions that a token shows (RFC 7519 section 3), for people to read: tokens are opaque otherwise."""
    part = token.split(".")[1] if token.count(".") > 1 else ""
    try:
        claims = json_object(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) or {}
    except (binascii.Error, ValueError):
        return []
    # A person's token has its permissions in one text.
    roles = text_of(claims, "scp").split() or claims.get("roles")
    return sorted(one for one in roles if isinstance(one, str) and one.isprintable())[:20] if isinstance(roles, list) else []
