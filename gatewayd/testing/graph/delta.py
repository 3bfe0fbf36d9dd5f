"""Delta queries for the messages of a folder: rounds of pages, and the sync states that their links name."""

from __future__ import annotations

import bisect
import itertools
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import quote

from gatewayd.testing.graph.message_view import refuse_corrupt_page, shown_message, value_of
from gatewayd.testing.graph.odata import ODataError, QueryOptions, answered, matcher

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gatewayd.testing.graph.calls import GraphCall
    from gatewayd.testing.graph.exchange_items import ExchangeFolder, ExchangeMessage, FolderChange
    from gatewayd.testing.graph.wire import ServedResponse

__all__ = ["SyncStates", "refuse_without_folder"]

_DEFAULT_PAGE = 10
#: A delta query with a filter has at most so many messages.
_MAX_FILTERED = 5_000


class _Entry(NamedTuple):
    """What a round tells of a message, or of one stay of it in the folder, which had its own id."""

    kind: Literal["created", "updated", "deleted"]
    message: ExchangeMessage
    item_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    """What a round tells in all, from its first page on."""

    folder: ExchangeFolder
    query: QueryOptions
    entries: Sequence[_Entry]
    #: The number of the last change of the mailbox that the round knows.
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _SyncState:
    """What a link names: a page of a round, or with ``round.entries`` done, the begin of the next one."""

    round: _Round
    #: The place of the page; None behind a deltaLink.
    place: int | None
    #: The page has come before.
    is_replay: bool = False


@dataclass(slots=True)
class SyncStates:
    """The delta queries of all mailboxes."""

    _states: dict[str, _SyncState] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _generation: int = 605

    def drop(self) -> None:
        """Forget all states, so that every link is answered with 410."""
        self._states.clear()
        self._generation += 1

    def answer(self, call: GraphCall) -> ServedResponse:
        """Answer one page of a round."""
        given = call.query["$skiptoken"] or call.query["$deltatoken"]
        state = self._known(call, given) if given else self._first(call)
        if state.place is None:
            state = _SyncState(round=_next_round(call, state.round), place=0)
        return self._page(call, state)

    def _known(self, call: GraphCall, token: str) -> _SyncState:
        state = self._states.get(token)
        if state is None or state.round.folder is not call.folder():
            text = f"The sync state generation is not found; generation={self._generation};[highest=841][841][839][840]."
            again = f"{call.base}{_path(call)}?$deltatoken="
            raise ODataError(410, "SyncStateNotFound", text, Location=again)
        return state

    def _first(self, call: GraphCall) -> _SyncState:
        mailbox = call.mailbox
        folder = call.folder()
        if call.query["$search"]:
            raise ODataError(
                400, "ErrorInvalidUrlQuery", "The following parameters are not supported with change tracking: $search."
            )
        if mailbox.initial_deltas >= mailbox.most_initial_deltas:
            raise ODataError(403, "ErrorQuotaExceeded", "The mailbox is full: its quota is exceeded.")
        mailbox.initial_deltas += 1
        entries = [_Entry("created", message, message.item_id) for message in folder.messages.values()]
        entries.sort(key=lambda entry: entry.message.received, reverse=bool(call.query["$orderby"]))
        return _SyncState(round=_bounded(call, folder, call.query, entries), place=0)

    def _page(self, call: GraphCall, state: _SyncState) -> ServedResponse:
        knobs, whole, place = call.knobs, state.round, state.place or 0
        size = QueryOptions(f"size={call.prefer.get('odata.maxpagesize', '')}").number("size", _DEFAULT_PAGE) or _DEFAULT_PAGE
        entries = whole.entries[place : place + size]
        further: int | None = place + size if place + size < len(whole.entries) else None
        is_replay = False
        if knobs.empty_pages:
            knobs.empty_pages -= 1
            entries, further = [], place
        elif knobs.replayed_pages and not state.is_replay:
            knobs.replayed_pages -= 1
            further, is_replay = place, True
        values = list(_shown(call, whole, entries))
        state = _SyncState(round=whole, place=further, is_replay=is_replay)
        body = {"@odata.context": f"{call.base}/$metadata#Collection(message)", **self._link(call, state), "value": values}
        applied = call.request.headers.get("prefer", "")
        return answered(200, body, **({"Preference_Applied": applied} if applied else {}))

    def _link(self, call: GraphCall, state: _SyncState) -> dict[str, object]:
        token = f"{next(self._numbers):x}-{self._generation}"
        if state.place is None:
            # Only the place in the log is still needed, and polls are many.
            rest = _Round(folder=state.round.folder, query=state.round.query, entries=(), until=state.round.until)
            state = _SyncState(round=rest, place=None)
        self._states[token] = state
        name, option = ("deltaLink", "$deltatoken") if state.place is None else ("nextLink", "$skiptoken")
        return {f"@odata.{name}": f"{call.link_base}{_path(call)}?{option}={token}"}


def _path(call: GraphCall) -> str:
    return f"/users('{quote(call.mailbox.id)}')/mailFolders('{quote(call.ids[0])}')/messages/delta"


def _next_round(call: GraphCall, last: _Round) -> _Round:
    changes = last.folder.changes
    start = bisect.bisect_right(changes, last.until, key=lambda change: change.number)
    stays = _stays(changes[start:])
    if call.has_immutable_ids:
        stays = _by_message(stays, loses_moved_back=call.knobs.loses_moved_back)
    return _bounded(call, last.folder, last.query, stays)


def _stays(changes: Iterable[FolderChange]) -> list[_Entry]:
    """Sum up changes by the changing ids: each stay of a message in the folder is told by itself."""
    found: dict[str, _Entry] = {}
    for change in changes:
        before = found.get(change.item_id)
        kind = "created" if change.kind == "updated" and before and before.kind == "created" else change.kind
        found[change.item_id] = _Entry(kind, change.message, change.item_id)
    return [*found.values()]


def _by_message(stays: Iterable[_Entry], *, loses_moved_back: bool) -> list[_Entry]:
    """Sum up stays by message, as with immutable ids: one that left and came back is told as removed, if Graph loses it."""
    found: dict[str, _Entry] = {}
    for stay in stays:
        before = found.get(stay.message.immutable_id)
        if before is None or before.kind != "deleted" or not loses_moved_back:
            found[stay.message.immutable_id] = stay
    return [*found.values()]


def _bounded(call: GraphCall, folder: ExchangeFolder, query: QueryOptions, entries: list[_Entry]) -> _Round:
    """Return a round of those entries that the query's options want."""
    if query["changeType"]:
        entries = [entry for entry in entries if entry.kind == query["changeType"]]
    if query["$filter"]:
        fits = matcher(query["$filter"])
        # What was removed is told without its properties: no filter holds it back.
        entries = [one for one in entries if one.kind == "deleted" or fits(partial(value_of, one.message))]
        entries = entries[:_MAX_FILTERED]
    if query["$top"]:
        # Not the size of a page: nothing beyond is ever told.
        entries = entries[: query.top]
    return _Round(folder=folder, query=query, entries=entries, until=call.mailbox.last_change)


def _shown(call: GraphCall, whole: _Round, entries: Sequence[_Entry]) -> Iterable[dict[str, object]]:
    messages = [entry.message for entry in entries if entry.kind != "deleted"]
    refuse_corrupt_page(messages)
    for kind, message, item_id in entries:
        kind_of = {"@odata.type": "#microsoft.graph.message"}
        if kind == "deleted":
            gone = message.immutable_id if call.has_immutable_ids else item_id
            yield {**kind_of, "id": gone, "@removed": {"reason": "deleted"}}
        elif message.folder is whole.folder and message.immutable_id in whole.folder.messages and message.item_id == item_id:
            # One that left since the round began is told as removed in the next round.
            yield {**kind_of, **shown_message(call, message, whole.query)}


def refuse_without_folder(_call: GraphCall) -> ServedResponse:
    """Refuse a delta query over all folders."""
    raise ODataError(400, "ErrorInvalidUrlQuery", "Change tracking is not supported against 'microsoft.graph.message'.")
