"""What is asked of Microsoft Graph, and an answer whose body is still to come."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from gatewayd_office365.graph_faults import GraphAnswer

__all__ = ["TOO_LARGE", "GraphRequest", "GraphStream"]

#: How many bytes an answer of JSON may have.
_JSON = 8 << 20
#: What is answered to a page that may be too large, or has a message that Exchange can't show.
TOO_LARGE = frozenset({500, 502, 504})


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
    #: Called each time that it is about to be sent, when its turn has come; what that raises keeps it from being sent.
    begins: Callable[[], object] = field(default=lambda: None, repr=False)

    @property
    def content(self) -> bytes | memoryview:
        """The bytes that are sent."""
        return json.dumps(self.data).encode() if self.data is not None else self.body
