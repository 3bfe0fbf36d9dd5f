"""Read single messages: whether they are in a folder, their headers, and their MIME.

Exchange makes the MIME anew from what it keeps, and tells no size of it ("Get MIME content from a message").
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from gatewayd import AnswerLost, AuthError, Failed, Gone, TooLarge
from gatewayd_office365.delta import PROPERTIES, listed_of, objects_of
from gatewayd_office365.graph_requests import GraphRequest
from gatewayd_office365.in_flight import SeveralInFlight
from gatewayd_office365.json_objects import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gatewayd import Fetched, Listed, Spool
    from gatewayd_office365.graph import GraphClient
    from gatewayd_office365.graph_faults import GraphAnswer
    from gatewayd_office365.in_flight import InFlight

__all__ = ["FEW", "headers", "is_gone", "is_of_one", "looked_up", "mime", "newest"]

#: So many keys are looked up one by one; of more, most are found among the folder's newest messages, 1,000 at a time.
FEW, _ON_A_PAGE, _PAGES = 10, 1_000, 20
#: How much of a message is read to find the end of its headers, and how much more to keep the connection.
_HEADER, _REST = 1 << 20, 1 << 17
#: The spool has a bound for each message, and tells it; a header block has its own.
_ANY = 1 << 40
#: After so many messages one after the other that were cut off, the connection is at fault and no message is.
_CUT = 5
_NOT_FOUND, _BAD = 404, 400
#: Statuses that are about one message.
_OF_ONE = frozenset({_BAD, _NOT_FOUND, 405, 409, 410, 413, 422, 500})


def is_gone(answer: GraphAnswer) -> bool:
    """Whether an answer says that there is no such message, or that its id can't be one."""
    # A 404 without a code is a proxy's.
    return (answer.status == _NOT_FOUND and answer.code == "erroritemnotfound") or answer.code == "errorinvalididmalformed"


def is_of_one(refusal: GraphAnswer) -> bool:
    """Whether a refusal is about one message, and not about the mailbox."""
    return refusal.status in _OF_ONE and not isinstance(refusal.error, AuthError)


def looked_up(graph: GraphClient, folder: str, keys: Sequence[str]) -> Iterator[Listed]:
    """Yield those of ``keys`` that are in the folder with this id."""
    left = set(keys)
    if len(left) > FEW:
        for one in map(listed_of, newest(graph, folder, PROPERTIES)):
            if one is not None and one.key in left:
                left.discard(one.key)
                yield one
            if not left:
                return
    # Whatever a list lacks is asked for by its id: pages shift while mail comes and goes.
    for key in [key for key in keys if key in left]:
        target = graph.path("messages", key, query=f"{PROPERTIES},parentFolderId")
        answer = graph.request(GraphRequest(what="the message", target=target))
        if is_gone(answer):
            continue
        data = answer.checked().data
        found = listed_of(data)
        if found is not None and found.key == key and text_of(data, "parentFolderId") == folder:
            yield found


def newest(graph: GraphClient, folder: str, properties: str) -> Iterator[Mapping[str, object]]:
    """Yield the newest messages of a folder with these properties; none any more once Exchange can't make a page."""
    target = graph.path("mailFolders", folder, "messages", query=f"{properties}&$top={_ON_A_PAGE}")
    for _ in range(_PAGES):
        answer = graph.request(GraphRequest(what="the list of messages", target=target))
        if not answer.is_good:
            # One message that Exchange can't show spoils a page. Each is asked for by its id then.
            return
        yield from objects_of(answer.data)
        link = text_of(answer.data, "@odata.nextLink")
        if not link:
            return
        target = graph.link(link)


def headers(graph: GraphClient, keys: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Yield key and header block of the messages that can be had: the beginning of their MIME."""
    for key in keys:
        target = graph.path("messages", key, "$value")
        asked = GraphRequest(what="the headers of a message", target=target, accept="*/*", limit=_ANY)
        with graph.stream(asked) as stream:
            refusal = stream.refusal
            found = b"" if refusal else _head(stream.pieces)
        if refusal is None:
            # The request is over: whoever takes the headers may make others.
            yield key, found
        elif not is_of_one(refusal):
            raise refusal.error


def _head(pieces: Iterator[bytes]) -> bytes:
    block, end, rest = bytearray(), -1, 0
    for piece in pieces:
        if end < 0:
            block += piece
            ends = [at + len(mark) for mark in (b"\r\n\r\n", b"\n\n") if (at := block.find(mark)) >= 0]
            end = 1 if block.startswith((b"\n", b"\r\n")) else min(ends, default=-1)
        else:
            rest += len(piece)
        if rest > _REST or len(block) > _HEADER:
            break
    return bytes(block[:end] if end >= 0 else block[:_HEADER])


def mime(graph: GraphClient, listed: Sequence[Listed], spool: Spool, *, urgent: bool) -> Iterator[Fetched]:
    """Fetch messages whole into the spool, several requests in flight; see ``Session.fetch``."""
    keys = {graph.path("messages", one.key, "$value"): one.key for one in listed}
    with closing(SeveralInFlight(graph, (_value(target, urgent=urgent) for target in keys))) as several:
        yield from _each(several, keys, spool)


def _each(several: SeveralInFlight, keys: Mapping[str, str], spool: Spool) -> Iterator[Fetched]:
    cut = 0
    for one in several:
        key = keys[one.attempt.asked.target]
        try:
            fetched = _fetched(several, one, key, spool)
            cut = 0
        except AnswerLost as lost:
            cut += 1
            if cut >= _CUT or lost.status is None or several.is_aborted:
                raise
            fetched = Failed(key=key, cause=lost.sentences)
        if fetched is not None:
            yield fetched


def _value(target: str, *, urgent: bool) -> GraphRequest:
    # Below a folder, Exchange answers this with 405.
    return GraphRequest(what="a message", target=target, accept="*/*", limit=_ANY, urgent=urgent, back={500})


def _fetched(several: SeveralInFlight, one: InFlight, key: str, spool: Spool) -> Fetched | None:
    """Return what became of a message; None if it is asked for again, or no more in this visit."""
    refusal = None
    try:
        with one.answer(anew=True) as stream:
            if one.error is not None:
                several.stop(one.error)
            elif one.is_put_off:
                several.again(one)
            elif stream.refusal is None:
                came = spool.put(key, stream.pieces)
                return came if came.source.size else Failed(key=key, cause="Exchange sent nothing in its place")
            else:
                refusal = stream.refusal
    except TooLarge as error:
        return Failed(key=key, cause=error.sentences)
    if refusal is None:
        return None
    if is_gone(refusal):
        return Gone(key=key)
    if is_of_one(refusal):
        return Failed(key=key, cause=refusal.error.sentences)
    several.stop(refusal.error)
    return None
