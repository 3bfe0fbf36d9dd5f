"""The endpoints that read folders and messages, and those that change a message: read, moved, deleted."""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

from gatewayd.testing.graph.exchange_mime import made_anew
from gatewayd.testing.graph.folder_names import ROOT
from gatewayd.testing.graph.message_view import refuse_corrupt_page, shown_message, value_of
from gatewayd.testing.graph.odata import ODataError, answered, matcher, page
from gatewayd.testing.graph.wire import ServedResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from gatewayd.testing.graph.calls import GraphCall
    from gatewayd.testing.graph.exchange_items import ExchangeFolder, ExchangeMessage

__all__ = [
    "child_folders",
    "delete_message",
    "folder",
    "folder_messages",
    "mailbox_messages",
    "message",
    "message_mime",
    "move_message",
    "person",
    "top_folders",
]

_renderings = itertools.count(1)


def person(call: GraphCall) -> ServedResponse:
    """Answer who the mailbox belongs to."""
    mailbox = call.mailbox
    shown: dict[str, Callable[[], object]] = {
        "id": lambda: mailbox.id,
        "mail": lambda: mailbox.address,
        "userPrincipalName": lambda: mailbox.login_name,
        "proxyAddresses": lambda: [f"SMTP:{mailbox.address}", *(f"smtp:{alias}" for alias in mailbox.aliases)],
    }
    return answered(200, call.query.selected(shown))


def top_folders(call: GraphCall) -> ServedResponse:
    """List the folders at the top."""
    return _folders(call, call.mailbox.folders[ROOT], f"/users/{quote(call.mailbox.id)}/mailFolders")


def child_folders(call: GraphCall) -> ServedResponse:
    """List the folders in a folder."""
    path = f"/users/{quote(call.mailbox.id)}/mailFolders/{quote(call.ids[0])}/childFolders"
    return _folders(call, call.folder(), path)


def folder(call: GraphCall) -> ServedResponse:
    """Show a folder."""
    shown = call.query.selected(_folder_view(call.folder()))
    return answered(200, {"@odata.context": f"{call.base}/$metadata#users('{call.mailbox.id}')/mailFolders/$entity", **shown})


def folder_messages(call: GraphCall) -> ServedResponse:
    """List the messages of a folder."""
    path = f"/users/{quote(call.mailbox.id)}/mailFolders/{quote(call.ids[0])}/messages"
    return _messages(call, call.folder().messages.values(), path)


def mailbox_messages(call: GraphCall) -> ServedResponse:
    """List the messages of all folders."""
    path = f"/users/{quote(call.mailbox.id)}/messages"
    return _messages(call, call.mailbox.all_messages(), path)


def message(call: GraphCall) -> ServedResponse:
    """Show a message."""
    shown = shown_message(call, call.message(len(call.ids) - 1), call.query)
    return answered(200, {"@odata.context": f"{call.base}/$metadata#users('{call.mailbox.id}')/messages/$entity", **shown})


def message_mime(call: GraphCall) -> ServedResponse:
    """Return a message's MIME."""
    found = call.message()
    if found.corrupt_value:
        raise ODataError(500, "ErrorContentConversionFailed", "Content conversion failed.")
    mime = found.content
    if call.knobs.mime != "same":
        mime = made_anew(mime, f"{found.immutable_id} {next(_renderings) if call.knobs.mime == 'anew each time' else 0}")
    return ServedResponse(status=200, headers={"Content-Type": "text/plain"}, body=mime, chunked=True)


def mime_below_folder(_call: GraphCall) -> ServedResponse:
    """Refuse to return MIME by way of a folder, as Exchange does although it is documented."""
    raise ODataError(405, "ErrorInvalidRequest", "The OData request is not supported.")


def move_message(call: GraphCall) -> ServedResponse:
    """Move a message into another folder."""
    moved, target = call.message(), call.mailbox.folder_by_id(str(call.parameters().get("destinationid", "")))
    if target is None:
        raise ODataError(404, "ErrorItemNotFound", "The specified object was not found in the store.")
    call.mailbox.move_to(moved, target)
    return answered(201, shown_message(call, moved, call.query))


def delete_message(call: GraphCall) -> ServedResponse:
    """Delete a message: it can be recovered, but is in no folder that people see."""
    call.mailbox.move_to(call.message(len(call.ids) - 1), call.mailbox.folders["recoverableitemsdeletions"])
    return answered(204)


def _folders(call: GraphCall, parent: ExchangeFolder, path: str) -> ServedResponse:
    views = [_folder_view(child) for child in call.mailbox.listed_folders(parent)]
    if call.query["$filter"]:
        fits = matcher(call.query["$filter"])
        views = [view for view in views if fits(partial(_looked_up, view))]
    return page(
        views,
        call.query.selected,
        query=call.query,
        base=f"{call.link_base}{path}",
        context=f"{call.base}/$metadata#users('{call.mailbox.id}')/mailFolders",
    )


def _folder_view(shown: ExchangeFolder) -> dict[str, Callable[[], object]]:
    return {
        "id": lambda: shown.id,
        "displayName": lambda: shown.name,
        "parentFolderId": lambda: shown.parent.id if shown.parent else shown.id,
        "childFolderCount": lambda: len(shown.children),
        "unreadItemCount": lambda: sum(not one.is_read for one in shown.messages.values()),
        "totalItemCount": lambda: len(shown.messages) + shown.other_items,
        "sizeInBytes": lambda: sum(len(one.mime) for one in shown.messages.values()),
        "isHidden": lambda: False,
    }


def _looked_up(view: Mapping[str, Callable[[], object]], name: str) -> object:
    if name not in view:
        raise ODataError(400, "ErrorInvalidProperty", f"The property '{name}' does not support filtering.")
    return view[name]()


def _messages(call: GraphCall, messages: Iterable[ExchangeMessage], path: str) -> ServedResponse:
    query = call.query
    ordered = _ordered(messages, query["$orderby"])
    if query["$filter"]:
        _check_order(query["$filter"], query["$orderby"])
        fits = matcher(query["$filter"])
        ordered = [one for one in ordered if fits(partial(value_of, one))]
    start = query.number("$skip", 0)
    refuse_corrupt_page(ordered[start : start + query.top])
    return page(
        ordered,
        lambda one: shown_message(call, one, query),
        query=query,
        base=f"{call.link_base}{path}",
        context=f"{call.base}/$metadata#users('{call.mailbox.id}')/messages",
    )


def _ordered(messages: Iterable[ExchangeMessage], order: str) -> list[ExchangeMessage]:
    """Sort messages, by default the newest first."""
    name, _, direction = (order or "receivedDateTime desc").strip().partition(" ")

    is_descending = direction.strip().lower() == "desc"
    if name == "receivedDateTime":
        return sorted(messages, key=lambda one: one.received, reverse=is_descending)
    return sorted(messages, key=lambda one: str(value_of(one, name)), reverse=is_descending)


def _check_order(conditions: str, order: str) -> None:
    """Properties to order by must come first in the filter."""
    first = order.partition(",")[0].partition(" ")[0]
    if not conditions.strip().startswith(first):
        raise ODataError(400, "InefficientFilter", "The restriction or sort order is too complex for this operation.")
