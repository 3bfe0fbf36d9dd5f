"""A client of Microsoft Graph for one mailbox: tokens, pace, throttling and retries, links, and ids that no move changes."""

from __future__ import annotations

import json
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from gatewayd import HttpClient, HttpPool, TransientError, retry_after
from gatewayd_office365.graph_faults import GraphAnswer
from gatewayd_office365.json_objects import json_object, text_of
from gatewayd_office365.pace import PATIENCE, pace_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from gatewayd import HttpStream
    from gatewayd_office365.options import Office365Options
    from gatewayd_office365.pace import Turn

__all__ = ["TOO_LARGE", "GraphClient", "GraphRequest", "GraphStream"]

#: How many bytes an answer of JSON may have, and one that is no success.
_JSON, _REFUSAL = 8 << 20, 1 << 18
_PART, _UNAUTHORIZED, _THROTTLED = 206, 401, 429
#: What is answered to a page that may be too large, or has a message that Exchange can't show.
TOO_LARGE = frozenset({500, 502, 504})
#: Statuses that say "later".
_LATER = frozenset({_THROTTLED, 500, 502, 503, 504, 509})
#: What the same request would be answered by again.
_FOR_GOOD = frozenset({"errorcontentconversionfailed"})
#: How often a request is made, if it is put off each time: the app was throttled, and anything else.
_TRIES, _TRIES_OTHER = 8, 4
#: How many connections all accounts together keep for one address of Graph.
_KEPT = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphStream:
    """An answer whose body is still to come, if it is a success."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    #: The body, in pieces of at most 1 MiB. It ends only if it is whole, and else raises AnswerLost or TooLarge.
    pieces: Iterator[bytes] = field(repr=False)
    #: The whole answer, if it is a refusal.
    refusal: GraphAnswer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphRequest:
    """A request."""

    #: Its name in errors, without ids.
    what: str
    method: str = "GET"
    #: See ``GraphClient.path`` and ``GraphClient.link``.
    target: str
    #: What is sent as JSON; else ``body`` is sent as ``content_type``.
    data: Mapping[str, object] | None = field(default=None, repr=False)
    body: bytes | memoryview = field(default=b"", repr=False)
    content_type: str = "application/json"
    #: The type of the answer; MIME comes as ``text/plain``.
    accept: str = "application/json"
    #: More preferences (RFC 7240).
    prefer: str = ""
    #: How many bytes a success may have.
    limit: int = _JSON
    #: It goes before requests for backlog.
    urgent: bool = True
    #: It may be made again though Exchange may have done it already. Else an answer of 5xx is given back, and only what surely was
    #: not done is made again.
    repeat: bool = True
    #: Answers of these statuses that say "later" are given back, too.
    back: Collection[int] = ()

    @property
    def content(self) -> bytes | memoryview:
        """The bytes that are sent."""
        return json.dumps(self.data).encode() if self.data is not None else self.body


@cache
def _pool(graph: str, ca_file: Path | None, timeout: float) -> HttpPool:
    """Return the connections that all accounts share: each would need its own for every poll.

    There are as many as addresses were ever named in the config: one that was forgotten would leave its connections open.
    """
    return HttpPool(graph, ca_file=ca_file, timeout=timeout, field="graph", kept=_KEPT)


class GraphClient:
    """Makes requests about one mailbox. It is used by one thread at a time, except for ``abort``.

    All requests obey the pace of their app, ask for immutable ids, and wait in place if Microsoft puts them off for a short time.
    """

    def __init__(self, options: Office365Options) -> None:
        """Keep ``options``; does no I/O."""
        self._options = options
        self._pool = _pool(options.graph, options.ca_file, options.timeout)
        self._http = HttpClient(self._pool)
        self._pace = pace_of(options.graph, options.app)
        self._path = f"{urlsplit(options.graph).path}/users/{quote(options.mailbox, safe='')}"
        #: No request begins any more.
        self.is_aborted = False
        #: How many bytes of bodies came.
        self.came = 0

    @property
    def where(self) -> str:
        """Host and port, as messages name the server."""
        return self._pool.where

    def path(self, *names: str, query: str = "") -> str:
        """Return the target of a request: ``names`` below the mailbox, such as ``messages`` and an id, each percent-encoded."""
        path = "/".join([self._path, *(quote(name, safe="$") for name in names)])
        return f"{path}?{query}" if query else path

    def link(self, url: str) -> str:
        """Return the target that a link in an answer leads to. Raises TransientError if that is not on the server of ``graph``."""
        return self._pool.target(url)

    def token(self, refused: str = "") -> str:
        """Return an access token, which is not the one that was ``refused``. Raises AuthError or TransientError."""
        return self._options.tokens.token(self._options.mailbox, self._options.resource, refused=refused)

    def identify(self) -> None:
        """See to it that the mailbox counts as one for the pace, whether it is named by its id or by its address.

        Asks for its Inbox, once, if the app has mailboxes named in both ways. A refusal is left to the requests that matter.
        """
        if not self._pace.is_ambiguous(self._options.mailbox):
            return
        answer = self.request(GraphRequest(what="the inbox", target=self.path("mailFolders", "inbox", query="$select=id")))
        if answer.is_good and (found := text_of(answer.data, "id")):
            self._pace.call(self._options.mailbox, found)

    def request(self, asked: GraphRequest) -> GraphAnswer:
        """Make a request and return its answer, also a refusal. See ``stream``."""
        with self.stream(asked) as stream:
            if stream.refusal is not None:
                return stream.refusal
            data = json_object(b"".join(stream.pieces)) or {}
            return GraphAnswer(status=stream.status, headers=stream.headers, data=data, where=self._named(asked))

    @contextmanager
    def stream(self, asked: GraphRequest) -> Iterator[GraphStream]:
        """Make a request, and give its answer when its head has come.

        A token that is refused is renewed once. Raises AuthError, and TransientError with ``retry_after`` where Microsoft asks for
        more patience than a thread should have; AnswerLost, one of these, if Exchange may have done it and no answer came.
        """
        refused, tries = "", 0
        while True:
            token, tries = self.token(refused), tries + 1
            with (
                self._pace.turn(self._options.mailbox, urgent=asked.urgent, stopped=lambda: self.is_aborted) as turn,
                self._sent(asked, token) as sent,
            ):
                stream = self._read(sent, asked)
                if not self._again(asked, stream, turn, tries, renewed=bool(refused)):
                    yield stream
                    return
            if stream.status == _UNAUTHORIZED:
                refused = token

    def abort(self) -> None:
        """Break off the request under way, and let none begin; from any thread. Never raises."""
        self.is_aborted = True
        self._http.abort()
        self._pace.wake()

    # --- one request --------------------------------------------------------------------------------------------------

    def _sent(self, asked: GraphRequest, token: str) -> AbstractContextManager[HttpStream]:
        content = asked.content
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": asked.accept,
            "Prefer": ", ".join(filter(None, ['IdType="ImmutableId"', asked.prefer])),
            "client-request-id": str(uuid.uuid4()),
            **({"Content-Type": asked.content_type} if content else {}),
        }
        limit = max(asked.limit, _REFUSAL)
        return self._http.stream(
            asked.method, asked.target, what=asked.what, headers=headers, body=content, limit=limit, repeat=asked.repeat
        )

    def _read(self, sent: HttpStream, asked: GraphRequest) -> GraphStream:
        answer = GraphAnswer(status=sent.status, headers=sent.headers, data={}, where=self._named(asked))
        pieces = self._counted(sent)
        if answer.is_good:
            self._refuse_changed(sent, asked)
            return GraphStream(status=sent.status, headers=sent.headers, pieces=pieces)
        refusal = replace(answer, data=json_object(_beginning(pieces, _REFUSAL)) or {})
        return GraphStream(status=sent.status, headers=sent.headers, pieces=iter(()), refusal=refusal)

    def _refuse_changed(self, sent: HttpStream, asked: GraphRequest) -> None:
        """Raise TransientError for a body that is coded or a part, though neither was asked for: it is not what Exchange sent."""
        if sent.status == _PART or sent.headers.get("content-encoding", "identity").lower() != "identity":
            raise TransientError(
                f"{self._named(asked)}: the answer was changed on its way: it is a part, or coded (HTTP {sent.status})",
                advice="See to the proxy between this machine and `graph`.",
            )

    def _again(self, asked: GraphRequest, stream: GraphStream, turn: Turn, tries: int, *, renewed: bool) -> bool:
        """Whether the request is to be made again. Raises the refusal if it should be made in a later visit."""
        refusal = stream.refusal
        if refusal is None or (refusal.status not in _LATER and refusal.status != _UNAUTHORIZED) or refusal.code in _FOR_GOOD:
            turn.succeeded()
            return False
        if refusal.status == _UNAUTHORIZED:
            if renewed:
                raise refusal.error
            return True
        throttled = refusal.status == _THROTTLED
        wait = turn.put_off(throttled=throttled, retry_after=retry_after(refusal.headers))
        if refusal.status in asked.back or not (throttled or asked.repeat):
            return False
        if wait > PATIENCE or tries >= (_TRIES if throttled else _TRIES_OTHER):
            error = refusal.error
            error.retry_after = wait  # type: ignore[attr-defined]  # what says "later" is a TransientError
            raise error
        return True

    def _counted(self, sent: HttpStream) -> Iterator[bytes]:
        for piece in sent:
            self.came += len(piece)
            yield piece

    def _named(self, asked: GraphRequest) -> str:
        return f"{self.where}: {asked.what}"


def _beginning(pieces: Iterator[bytes], most: int) -> bytes:
    """Return a body, or, where it has more than ``most`` bytes, as much of it as has come by then."""
    found = bytearray()
    for piece in pieces:
        found += piece
        if len(found) > most:
            break
    return bytes(found)
