"""Find what would keep an account from working, for ``check --online``: permissions, the mailbox, folders. Reads only."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from gatewayd import AuthError, PermanentError
from gatewayd_office365.graph import GraphRequest
from gatewayd_office365.json_objects import json_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd import Action
    from gatewayd_office365.folders import FolderFinder
    from gatewayd_office365.graph import GraphClient

__all__ = ["problems", "roles_of", "sending_problems"]


def problems(graph: GraphClient, finder: FolderFinder, folders: Sequence[str], action: Action | None) -> list[str]:
    """See ``Session.problems``."""
    inbox = graph.path("mailFolders", "inbox", query="$select=id,totalItemCount")
    answer = graph.request(GraphRequest(what="the inbox", target=inbox))
    roles = roles_of(graph.token())
    told = f"the access token has {', '.join(roles)}" if roles else "the access token has no permission (`roles`)"
    if not answer.is_good and isinstance(error := answer.error, AuthError):
        return [f"{error.message}; {told}: {error.advice}"]
    found = [*_missing(finder, folders)]
    if action is not None and action.do == "move":
        found += _missing(finder, [action.folder])
    if action is not None and roles and "Mail.ReadWrite" not in roles:
        # Without roles it may be allowed in Exchange.
        found.append(
            f"`after: {action}` needs the permission Mail.ReadWrite, and {told}: grant it in the Microsoft Entra admin center, App "
            "registrations, your app, API permissions, or by RBAC for Applications in Exchange, which no token shows"
        )
    return found


def sending_problems(graph: GraphClient) -> list[str]:
    """See ``Courier.problems``."""
    roles = roles_of(graph.token())
    # Without roles it may be allowed in Exchange.
    lacks = [one for one in ("Mail.ReadWrite", "Mail.Send") if roles and one not in roles]
    if lacks:
        told = f"to send needs the permission {' and '.join(lacks)}, and the access token has {', '.join(roles)}"
        where = "in the Microsoft Entra admin center, App registrations, your app, API permissions"
        return [f"{told}: grant it {where}, or by RBAC for Applications in Exchange, which no token shows"]
    target = graph.path("mailFolders", "drafts", query="$select=id")
    answer = graph.request(GraphRequest(what="the folder of drafts", target=target))
    return [] if answer.is_good else [answer.error.sentences]


def _missing(finder: FolderFinder, folders: Sequence[str]) -> Iterator[str]:
    for folder in folders:
        try:
            finder.find(folder)
        except PermanentError as error:
            yield error.sentences


def roles_of(token: str) -> list[str]:
    """Return the permissions that a token shows (RFC 7519 section 3), for people to read: tokens are opaque otherwise."""
    part = token.split(".")[1] if token.count(".") > 1 else ""
    try:
        claims = json_object(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) or {}
    except (binascii.Error, ValueError):
        return []
    roles = claims.get("roles")
    return sorted(one for one in roles if isinstance(one, str) and one.isprintable())[:20] if isinstance(roles, list) else []
