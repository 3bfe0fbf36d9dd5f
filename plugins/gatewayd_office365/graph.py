"""A client of Microsoft Graph for one mailbox: tokens, pace, throttling and retries, links, and ids that no move changes."""

from __future__ import annotations

import json
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from gatewayd import HttpClient, HttpPool, retry_after
from gatewayd_office365.graph_faults import GraphAnswer
from gatewayd_office365.json_objects import json_object
from gatewayd_office365.pace import PATIENCE, pace_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from gatewayd import HttpStream
    from gatewayd_office365.options import Office365Options
    from gatewayd_office365.pace import Turn

__all__ = ["GraphClient", "GraphStream"]

#: How many bytes an answer of JSON may have, and one that is no success.
_JSON, _REFUSAL = 8 << 20, 1 << 18
_UNAUTHORIZED, _THROTTLED = 401, 429
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

    headers: Mapping[str, str] = field(repr=False)
    #: The body, in pieces of at most 1 MiB. It ends only if it is whole, and else raises AnswerLost or TooLarge.
    pieces: Iterator[bytes] = field(repr=False)
    #: The whole answer, if it is a refusal.
    refusal: GraphAnswer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    method: str
    target: str
    what: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | memoryview = field(repr=False)
    limit: int
    urgent: bool
    repeat: bool
    back: Collection[int]


@lru_cache(maxsize=64)
def _pool(graph: str, ca_file: Path | None, timeout: float) -> HttpPool:
    """Return the connections that all accounts share: each would need its own for every poll."""
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
        # Its text has references to secrets, and no secret.
        self._pace = pace_of(options.graph, repr(options.tokens))
        self._path = f"{urlsplit(options.graph).path}/users/{quote(options.mailbox, safe='')}"
        self._aborted = False
        #: How many bytes of bodies came.
        self.came = 0

    @property
    def where(self) -> str:
        """Host and port, as messages name the server."""
        return self._pool.where

    def path(self, *names: str, query: str = "") -> str:
        """Return the target of a request: ``names`` below the mailbox, such as ``messages`` and an id, each percent-encoded."""
        path = "/".join([self._path, *(quote(name, safe="") for name in names)])
        return f"{path}?{query}" if query else path

    def link(self, url: str) -> str:
        """Return the target that a link in an answer leads to. Raises TransientError if that is not on the server of ``graph``."""
        return self._pool.target(url)

    def log_in(self) -> None:
        """Get an access token, unless there is one. Raises AuthError or TransientError."""
        self._token("")

    def request(
        self,
        method: str,
        target: str,
        *,
        what: str,
        data: Mapping[str, object] | None = None,
        body: bytes | memoryview = b"",
        content_type: str = "application/json",
        prefer: str = "",
        limit: int = _JSON,
        urgent: bool = True,
        repeat: bool = True,
        back: Collection[int] = (),
    ) -> GraphAnswer:
        """Make a request and return its answer, also a refusal. See ``stream``."""
        with self.stream(
            method, target, what=what, data=data, body=body, content_type=content_type, prefer=prefer, limit=limit,
            urgent=urgent, repeat=repeat, back=back,
        ) as stream:  # fmt: skip
            if stream.refusal is not None:
                return stream.refusal
            return GraphAnswer(
                status=200, headers=stream.headers, data=json_object(b"".join(stream.pieces)) or {}, where=self._named(what)
            )

    @contextmanager
    def stream(
        self,
        method: str,
        target: str,
        *,
        what: str,
        data: Mapping[str, object] | None = None,
        body: bytes | memoryview = b"",
        content_type: str = "application/json",
        prefer: str = "",
        limit: int = _JSON,
        urgent: bool = True,
        repeat: bool = True,
        back: Collection[int] = (),
    ) -> Iterator[GraphStream]:
        """Make a request, and give its answer when its head has come.

        ``what`` names the request in errors. ``data`` is sent as JSON; else ``body`` as ``content_type``. ``prefer``: more
        preferences (RFC 7240). ``limit``: how many bytes a success may have. ``urgent``: it goes before requests for backlog.
        ``repeat``: it may be made again though Exchange may have done it already; else an answer of 5xx is given back, and only
        what surely was not done is made again. ``back``: answers "later" of these statuses are given back, too.

        A token that is refused is renewed once. Raises AuthError, and TransientError with ``retry_after`` where Microsoft asks for
        more patience than a thread should have; AnswerLost, one of these, if Exchange may have done it and no answer came.
        """
        content = json.dumps(data).encode() if data is not None else body
        headers = {
            "Accept": "application/json",
            "Prefer": ", ".join(filter(None, ['IdType="ImmutableId"', prefer])),
            "client-request-id": str(uuid.uuid4()),
            **({"Content-Type": content_type} if content else {}),
        }
        asked = _Request(
            method=method,
            target=target,
            what=what,
            headers=headers,
            body=content,
            limit=limit,
            urgent=urgent,
            repeat=repeat,
            back=back,
        )
        refused, tries = "", 0
        while True:
            token, tries = self._token(refused), tries + 1
            with (
                self._pace.turn(self._options.mailbox, urgent=urgent, stopped=lambda: self._aborted) as turn,
                self._sent(asked, token) as sent,
            ):
                stream = self._read(sent, what)
                if not self._again(asked, stream, turn, tries, renewed=bool(refused)):
                    yield stream
                    return
            refused = token if stream.refusal and stream.refusal.status == _UNAUTHORIZED else ""

    def abort(self) -> None:
        """Break off the request under way, and let none begin; from any thread. Never raises."""
        self._aborted = True
        self._http.abort()
        self._pace.wake()

    # --- one request --------------------------------------------------------------------------------------------------

    def _token(self, refused: str) -> str:
        return self._options.tokens.token(self._options.mailbox, self._options.resource, refused=refused)

    @contextmanager
    def _sent(self, asked: _Request, token: str) -> Iterator[HttpStream]:
        with self._http.stream(
            asked.method,
            asked.target,
            what=asked.what,
            headers={**asked.headers, "Authorization": f"Bearer {token}"},
            body=asked.body,
            limit=max(asked.limit, _REFUSAL),
            repeat=asked.repeat,
        ) as stream:
            yield stream

    def _read(self, sent: HttpStream, what: str) -> GraphStream:
        answer = GraphAnswer(status=sent.status, headers=sent.headers, data={}, where=self._named(what))
        pieces = self._counted(sent)
        if answer.is_good:
            return GraphStream(headers=sent.headers, pieces=pieces)
        refusal = replace(answer, data=json_object(b"".join(pieces)) or {})
        return GraphStream(headers=sent.headers, pieces=iter(()), refusal=refusal)

    def _again(self, asked: _Request, stream: GraphStream, turn: Turn, tries: int, *, renewed: bool) -> bool:
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

    def _named(self, what: str) -> str:
        return f"{self.where}: {what}"
