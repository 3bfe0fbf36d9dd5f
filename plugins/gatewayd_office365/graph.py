"""A client of Microsoft Graph for one mailbox: tokens, pace, links, and ids that no move changes."""

from __future__ import annotations

import re
import uuid
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from gatewayd import HttpClient, HttpPool
from gatewayd_office365.graph_faults import GraphAnswer
from gatewayd_office365.graph_requests import GraphRequest
from gatewayd_office365.in_flight import REFUSAL_BYTES, Attempt, InFlight
from gatewayd_office365.json_objects import json_object, text_of
from gatewayd_office365.pace import pace_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from gatewayd import SentRequest
    from gatewayd_office365.graph_requests import GraphStream
    from gatewayd_office365.options import Office365Options
    from gatewayd_office365.pace import Turn

__all__ = ["GraphClient"]

#: How many connections all accounts together keep for one address of Graph.
_KEPT = 16


#: What is percent-encoded in a path. Ids are long and have few such characters: ``quote`` would look at each of all.
_RESERVED = re.compile(r"[^0-9A-Za-z_.~$-]")


def _encoded(found: re.Match[str]) -> str:
    return quote(found[0], safe="")


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
        self._tokens, self._mailbox, self._resource = options.tokens, options.mailbox, options.resource
        self._pool = _pool(options.graph, options.ca_file, options.timeout)
        self._http = HttpClient(self._pool)
        self._pace = pace_of(options.graph, options.app)
        # A person's token opens its own mailbox, also where the account names that by an alias.
        whose = "me" if options.tokens.consent else f"users/{quote(options.mailbox, safe='')}"
        self._path = f"{urlsplit(options.graph).path}/{whose}"
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
        path = "/".join([self._path, *(_RESERVED.sub(_encoded, name) for name in names)])
        return f"{path}?{query}" if query else path

    def link(self, url: str) -> str:
        """Return the target that a link in an answer leads to. Raises TransientError if that is not on the server of ``graph``."""
        return self._pool.target(url)

    def token(self, refused: str = "") -> str:
        """Return an access token, which is not the one that was ``refused``. Raises AuthError or TransientError."""
        return self._tokens.token(self._mailbox, self._resource, refused=refused)

    def identify(self) -> None:
        """See to it that the mailbox counts as one for the pace, whether it is named by its id or by its address.

        Asks for its Inbox, once, if the app has mailboxes named in both ways. A refusal is left to the requests that matter.
        """
        if not self._pace.is_ambiguous(self._mailbox):
            return
        answer = self.request(GraphRequest(what="the inbox", target=self.path("mailFolders", "inbox", query="$select=id")))
        if answer.is_good and (found := text_of(answer.data, "id")):
            self._pace.call(self._mailbox, found)

    def request(self, asked: GraphRequest) -> GraphAnswer:
        """Make a request and return its answer, also a refusal. See ``stream``."""
        with self.stream(asked) as stream:
            return self.whole(asked, stream)

    def whole(self, asked: GraphRequest, stream: GraphStream) -> GraphAnswer:
        """Read an answer to its end; also a refusal."""
        if stream.refusal is not None:
            return stream.refusal
        data = json_object(b"".join(stream.pieces)) or {}
        return GraphAnswer(status=stream.status, headers=stream.headers, data=data, where=self.named(asked))

    @contextmanager
    def stream(self, asked: GraphRequest) -> Iterator[GraphStream]:
        """Make a request, and give its answer when its head has come.

        A token that is refused is renewed once. Raises AuthError, and TransientError with ``retry_after`` where Microsoft asks for
        more patience than a thread should have; AnswerLost, one of these, if Exchange may have done it and no answer came.
        """
        attempt = Attempt(asked)
        while True:
            begun = self.begin(attempt)
            with begun.answer() as stream:
                if begun.error is not None:
                    raise begun.error
                if not begun.is_put_off:
                    yield stream
                    return

    def begin(self, attempt: Attempt) -> InFlight:
        """Send a request when its turn has come; its answer is taken later. Raises as ``stream``.

        Not while this client has others in flight: see ``begin_now``.
        """
        token = self.token(attempt.refused)
        turn = self._pace.begin(self._mailbox, urgent=attempt.asked.urgent, stopped=lambda: self.is_aborted)
        return self._in_flight(attempt, token, turn)

    def begin_now(self, attempt: Attempt) -> InFlight | None:
        """Send a request beside others of this client that are in flight; None if it would have to wait. Raises as ``stream``."""
        token = self.token(attempt.refused)
        turn = self._pace.begin_now(self._mailbox, urgent=attempt.asked.urgent)
        return self._in_flight(attempt, token, turn) if turn is not None else None

    def abort(self) -> None:
        """Break off the request under way, and let none begin; from any thread. Never raises."""
        self.is_aborted = True
        self._http.abort()
        self._pace.wake()

    # --- one request --------------------------------------------------------------------------------------------------

    def _in_flight(self, attempt: Attempt, token: str, turn: Turn) -> InFlight:
        try:
            attempt.asked.begins()
            return InFlight(self, attempt, turn=turn, token=token, sent=self._sent(attempt.asked, token))
        except BaseException:
            turn.end()
            raise

    def _sent(self, asked: GraphRequest, token: str) -> SentRequest:
        content = asked.content
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": asked.accept,
            "Prefer": ", ".join(filter(None, ['IdType="ImmutableId"', asked.prefer])),
            "client-request-id": str(uuid.uuid4()),
            **({"Content-Type": asked.content_type} if content else {}),
        }
        limit = max(asked.limit, REFUSAL_BYTES)
        return self._http.send(
            asked.method, asked.target, what=asked.what, headers=headers, body=content, limit=limit, repeat=asked.repeat
        )

    def named(self, asked: GraphRequest) -> str:
        """Return server and request, as they begin the message of an error."""
        return f"{self.where}: {asked.what}"

    def counted(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield what comes, and count it."""
        for piece in pieces:
            self.came += len(piece)
            yield piece
