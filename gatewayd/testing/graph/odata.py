"""The forms of Graph's requests and answers (OData 4.01): query options, filters, preferences, errors, pages and links."""

from __future__ import annotations

import json
import re
import time
import uuid
from typing import TYPE_CHECKING, TypeAlias, TypeVar
from urllib.parse import parse_qsl, quote, unquote, urlencode

from gatewayd.testing.graph.wire import ServedResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = ["Json", "ODataError", "QueryOptions", "answered", "error_answer", "matcher", "new_id", "page", "preferences", "segments"]

Item = TypeVar("Item")
#: An object of JSON.
Json: TypeAlias = "Mapping[str, object]"

_FUNCTION = re.compile(r"([A-Za-z.]+)\((?:'((?:[^']|'')*)')?\)")
_COMPARISON = re.compile(r"([\w/]+)\s+(eq|ne|ge|gt|le|lt)\s+('(?:[^']|'')*'|[^\s']+)")
_PROPERTY = re.compile(
    r"singleValueExtendedProperties/any\((\w+):\s*\1/id\s+eq\s+('(?:[^']|'')*')\s+and\s+"
    r"(?:\1/value\s+eq\s+('(?:[^']|'')*')|contains\(\1/value,\s*('(?:[^']|'')*')\))\)"
)
_AND = re.compile(r"\s+and\s+")
_COMPARE: Mapping[str, Callable[[str, str], bool]] = {
    "eq": lambda left, right: left == right,
    "contains": lambda left, right: right in left,
    "ne": lambda left, right: left != right,
    "ge": lambda left, right: left >= right,
    "gt": lambda left, right: left > right,
    "le": lambda left, right: left <= right,
    "lt": lambda left, right: left < right,
}
_DEFAULT_PAGE, _MAX_PAGE = 10, 1000


class ODataError(Exception):
    """A request that is refused: HTTP status, code and message as Graph has them."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        """Prepare it. Underscores in the names of ``headers`` are hyphens."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class QueryOptions:
    """The query options of a request."""

    def __init__(self, text: str) -> None:
        self.options = dict(parse_qsl(text, keep_blank_values=True))

    def __getitem__(self, name: str) -> str:
        return self.options.get(name, "")

    def number(self, name: str, default: int) -> int:
        """Return a whole number."""
        text = self[name]
        if text and not (text.isascii() and text.isdigit()):
            raise ODataError(400, "BadRequest", f"Invalid value '{text}' for {name} query option found.")
        return int(text) if text else default

    @property
    def top(self) -> int:
        """The size of a page of a listing."""
        top = self.number("$top", _DEFAULT_PAGE)
        if not 1 <= top <= _MAX_PAGE:
            raise ODataError(400, "ErrorInvalidParameter", "The value of $top must be between 1 and 1000.")
        return top

    def selected(self, item: Mapping[str, Callable[[], object]], *, always: Iterable[str] = ("id",)) -> dict[str, object]:
        """Return the properties of an item that ``$select`` names; all if there is none."""
        wanted = {*(name.strip() for name in self["$select"].split(",")), *always} if self["$select"] else item.keys()
        return {name: value() for name, value in item.items() if name in wanted}


def segments(path: str) -> list[str]:
    """Split a path into its decoded segments; ``users('x')`` is as good as ``users/x``, and ``delta()`` as ``delta``."""
    found: list[str] = []
    for part in path.strip("/").split("/"):
        function = _FUNCTION.fullmatch(unquote(part))
        if function is None:
            found.append(unquote(part))
        else:
            argument: str | None = function[2]
            found += [function[1], *([] if argument is None else [argument.replace("''", "'")])]
    return [name.removeprefix("microsoft.graph.") for name in found]


def preferences(header: str) -> dict[str, str]:
    """Parse the header ``Prefer`` (RFC 7240 section 2): values by names in lower case."""
    pairs = (part.partition("=") for part in header.split(","))
    return {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs if name.strip()}


def matcher(text: str) -> Callable[[Callable[[str], object]], bool]:
    """Compile a ``$filter`` of comparisons joined by ``and``; it is called with what looks a property up by its name.

    An extended property is looked up by ``id``, as in ``String 0x1039``. Times are compared as text, since all are in UTC.
    """
    conditions: list[tuple[str, str, str]] = []
    rest = text.strip()
    while rest:
        extended = _PROPERTY.match(rest)
        found = extended or _COMPARISON.match(rest)
        if found is None:
            raise ODataError(400, "ErrorInvalidUrlQueryFilter", "The query filter contains one or more invalid nodes.")
        name, operator, value = _of_property(found) if extended else (found[1], found[2], found[3])
        conditions.append((name, operator, _literal(value)))
        rest = rest[found.end() :]
        joint = _AND.match(rest)
        if rest.strip() and joint is None:
            raise ODataError(400, "ErrorInvalidUrlQueryFilter", "The query filter contains one or more invalid nodes.")
        rest = rest[joint.end() :] if joint else ""
    return lambda value_of: all(_COMPARE[operator](_plain(value_of(name)), value) for name, operator, value in conditions)


def _of_property(found: re.Match[str]) -> tuple[str, str, str]:
    return _literal(found[2]), "eq" if found[3] else "contains", found[3] or found[4]


def _literal(text: str) -> str:
    return text[1:-1].replace("''", "'") if text.startswith("'") else text


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def page(items: Sequence[Item], shown: Callable[[Item], Json], *, query: QueryOptions, base: str, context: str) -> ServedResponse:
    """Answer a page of a listing, with a link to ``base`` if there are more items."""
    skip = query.number("$skip", 0)
    end = skip + query.top
    body: dict[str, object] = {"@odata.context": context}
    if query["$count"] == "true":
        body["@odata.count"] = len(items)
    if end < len(items):
        link = urlencode({**query.options, "$skip": str(end)}, safe="$,", quote_via=quote)
        body["@odata.nextLink"] = f"{base}?{link}"
    return answered(200, {**body, "value": [shown(item) for item in items[skip:end]]})


def answered(status: int, body: Json | None = None, **headers: str) -> ServedResponse:
    """Answer with JSON, or without a body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if body is None:
        return ServedResponse(status=status, headers=named)
    kind = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
    return ServedResponse(status=status, headers={"Content-Type": kind, **named}, body=json.dumps(body).encode())


def error_answer(error: ODataError, request_id: str) -> ServedResponse:
    """Answer with Graph's error body."""
    date = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    inner = {"date": date, "request-id": request_id, "client-request-id": request_id}
    answer = answered(error.status, {"error": {"code": error.code, "message": str(error), "innerError": inner}})
    answer.headers.update(error.headers)
    return answer


def new_id() -> str:
    """Return an id for a request, as Microsoft writes them."""
    return str(uuid.uuid4())
