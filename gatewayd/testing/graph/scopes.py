"""The permissions that persons can let an app have ("delegated permissions"), as the identity platform names them in scopes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gatewayd.testing.graph.entra_refusals import EntraRefused

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["GRAPH", "OUTLOOK", "Scope", "is_lasting", "one_api", "scopes_of"]

GRAPH, OUTLOOK = "https://graph.microsoft.com", "https://outlook.office365.com"
_PERMISSIONS = {
    GRAPH: {"User.Read", "Mail.Read", "Mail.ReadWrite", "Mail.Send"},
    OUTLOOK: {"IMAP.AccessAsUser.All", "POP.AccessAsUser.All", "SMTP.Send"},
}
#: Scopes that belong to no API.
_OPENID = {"openid", "profile", "email", "offline_access"}


class Scope(NamedTuple):
    """One permission of an API."""

    api: str
    permission: str


def scopes_of(text: str, graph: Collection[str]) -> frozenset[Scope]:
    """Return the permissions in a list of scopes; ``graph`` are the addresses of Graph, whose permissions need none.

    Raises EntraRefused for what is no permission.
    """
    found = set()
    for one in text.split():
        place, _, permission = one.rpartition("/")
        api = GRAPH if not place or place in graph else place
        if not place and one in _OPENID:
            continue
        if api not in _PERMISSIONS:
            raise EntraRefused(500011, 400, "invalid_resource", f"The resource principal named {api} was not found in the tenant.")
        if permission not in _PERMISSIONS[api]:
            text = f"The application asked for scope '{permission}' that doesn't exist on the resource '{api}'."
            raise EntraRefused(650053, 400, "invalid_client", text)
        found.add(Scope(api, permission))
    return frozenset(found)


def one_api(scopes: Collection[Scope]) -> str:
    """Return the API of scopes that are asked for in one token. Raises EntraRefused if there is none, or more."""
    found = {one.api for one in scopes}
    if len(found) != 1:
        code, text = (28000, "is not valid because it contains more than one resource") if found else (28003, "cannot be empty")
        raise EntraRefused(code, 400, "invalid_request", f"Provided value for the input parameter scope {text}.")
    return found.pop()


def is_lasting(text: str) -> bool:
    """Whether a list of scopes asks for a refresh token."""
    return "offline_access" in text.split()
