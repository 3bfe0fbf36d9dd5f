"""One request to Graph about a mailbox, as the endpoints get it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatewayd.testing.graph.odata import ODataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatewayd.testing.graph.exchange_items import ExchangeFolder, ExchangeMessage
    from gatewayd.testing.graph.knobs import Knobs
    from gatewayd.testing.graph.mailboxes import ExchangeMailbox
    from gatewayd.testing.graph.odata import Json, QueryOptions
    from gatewayd.testing.graph.sending import PostOffice
    from gatewayd.testing.graph.tokens import IssuedToken
    from gatewayd.testing.graph.wire import ServedRequest

__all__ = ["GraphCall"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphCall:
    """A request with its token and its mailbox."""

    request: ServedRequest
    token: IssuedToken
    mailbox: ExchangeMailbox
    #: The ids and names in the path below the mailbox, in their order.
    ids: Sequence[str]
    query: QueryOptions
    #: The header ``Prefer``: values by names in lower case.
    prefer: Mapping[str, str] = field(default_factory=dict)
    knobs: Knobs
    #: Graph's address with its version, and that of links: a knob may make them lead elsewhere.
    base: str
    link_base: str
    #: The address of the other host.
    elsewhere: str
    post: PostOffice

    @property
    def has_immutable_ids(self) -> bool:
        """Whether the client prefers immutable ids."""
        return self.prefer.get("idtype", "").lower() == "immutableid"

    def id_of(self, message: ExchangeMessage) -> str:
        """Return the id of a message, of the kind that the client prefers."""
        return message.immutable_id if self.has_immutable_ids else message.item_id

    def needs(self, roles: frozenset[str]) -> None:
        """Raise ODataError unless the app, or the person behind it, has one of these permissions for the mailbox."""
        app = self.token.app
        if self.token.person:
            if self.token.person != self.mailbox.id or not self.token.roles & roles:
                raise ODataError(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
            return
        if app.only is not None and self.mailbox.id not in app.only:
            text = "Access to OData is disabled: [RAOP] : Blocked by tenant configured AppOnly AccessPolicy settings."
            raise ODataError(403, "ErrorAccessDenied", text)
        if not {*self.token.roles, *app.granted.get(self.mailbox.id, ())} & roles:
            raise ODataError(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")

    def folder(self, place: int = 0) -> ExchangeFolder:
        """Return the folder that the path names."""
        folder = self.mailbox.folder_by_id(self.ids[place])
        if folder is None:
            raise _not_found()
        return folder

    def message(self, place: int = 0) -> ExchangeMessage:
        """Return the message that the path names; it may name the message's folder before."""
        message = self.mailbox.find(self.ids[place])
        if message is None or (place and message.folder is not self.folder()):
            raise _not_found()
        return message

    def json(self) -> Json:
        """Return the object in the body."""
        try:
            body = json.loads(self.request.body)
        except ValueError:
            raise ODataError(400, "BadRequest", "Unable to read JSON request payload.") from None
        if not isinstance(body, dict):
            raise ODataError(400, "BadRequest", "Unable to read JSON request payload.")
        return body

    def parameters(self) -> Json:
        """Return the parameters of an action, by their names in lower case: documents and SDKs differ in the case."""
        return {name.lower(): value for name, value in self.json().items()}


def _not_found() -> ODataError:
    return ODataError(404, "ErrorItemNotFound", "The specified object was not found in the store.")
