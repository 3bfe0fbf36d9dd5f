"""Make HTML plain: only elements that letters are made of, each closed where it ends, at most so deep and so many.

What comes out means the same to every parser, so that none takes more than linear time for it or builds more elements than it has.
Browsers and nh3 otherwise close, move and repeat elements by rules (HTML section 13.2.6) by which a short page can become huge.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from gatewayd_web.html_tokens import EndTag, StartTag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from gatewayd_web.html_tokens import Token

__all__ = ["ELEMENTS", "MAX_DEPTH", "MAX_ELEMENTS", "Nesting", "TooManyElements"]

#: Deeper elements leave only what they hold. Long threads of answers have some hundred levels, and browsers stop at 512.
MAX_DEPTH = 250
#: A page with more is not shown as one: large newsletters have some thousand.
MAX_ELEMENTS = 40_000
#: And so it is with tags, those included that mean nothing.
_MAX_TAGS = 100_000

_INLINE = """
    a abbr acronym b bdi big cite code del dfn em font i ins kbd mark q s samp small span strike strong sub sup tt u var
"""
_STACKED = """
    address article aside blockquote center dd div dl dt figcaption figure footer header hr li main nav ol p pre section table ul
"""
_WORDS = frozenset(_INLINE.split())
_VOID = frozenset({"br", "hr", "img", "wbr"})
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
#: What ends a paragraph that is open.
_BLOCKS = _HEADINGS | frozenset(_STACKED.split())
_GROUPS = frozenset({"tbody", "thead", "tfoot"})
_CELLS = frozenset({"td", "th"})
_OF_TABLES = _GROUPS | _CELLS | {"tr"}
#: Where only rows or cells may stand.
_ROWS = _GROUPS | {"table", "tr"}
#: What is written however deep it lies: it holds nothing, or takes the place of another.
_AT_ANY_DEPTH = _VOID | _OF_TABLES
#: What a list's item ends, up to the list that it is in.
_ITEMS = {"li": ({"li"}, {"ul", "ol"} | _CELLS), "dd": ({"dd", "dt"}, {"dl"} | _CELLS), "dt": ({"dd", "dt"}, {"dl"} | _CELLS)}
_SAME = {"body": "div", "image": "img", "listing": "pre", "dir": "ul", "menu": "ul", "fieldset": "div", "form": "div"}

#: All elements that come out.
ELEMENTS = _WORDS | _VOID | _BLOCKS | _OF_TABLES


class TooManyElements(ValueError):
    """A page has more than ``MAX_ELEMENTS``."""


class Nesting:
    """Makes one page plain.

    ``attributes`` is given the name and the attributes of an element, and returns the attributes that it keeps, as HTML.
    """

    def __init__(self, attributes: Callable[[str, Mapping[str, str]], str]) -> None:
        #: Whether anything lay too deep.
        self.flattened = False
        self._attributes = attributes
        self._out: list[str] = []
        self._elements = 0
        #: The open elements, the outermost first, and their attributes as they were written.
        self._open: list[tuple[str, str]] = []
        #: Elements that were left out, whose ends are left out, too.
        self._left_out: Counter[str] = Counter()

    def plain(self, page: Iterable[Token]) -> str:
        """Return the page; raises ``TooManyElements``."""
        for count, token in enumerate(page):
            if count > 2 * _MAX_TAGS:
                raise TooManyElements("the page has too many tags")
            if isinstance(token, StartTag):
                self._start(_SAME.get(token.name, token.name), token.attributes)
            elif isinstance(token, EndTag):
                self._end(_SAME.get(token.name, token.name))
            elif not self._within(_ROWS):
                self._out.append(token)
            elif not token.isspace():
                self._cell()
                self._out.append(token)
        self._close(0)
        return "".join(self._out)

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name not in ELEMENTS:
            return
        if name in _OF_TABLES:
            if not self._make_room(name):
                return
        elif self._within(_ROWS):
            if name not in {"img", "table"}:
                self._leave_out(name)
                return
            self._cell()
        if len(self._open) >= MAX_DEPTH and name not in _AT_ANY_DEPTH:
            self.flattened = True
            self._leave_out(name)
            return
        self._end_those_before(name)
        kept = self._attributes(name, attributes)
        if name in _VOID:
            self._write(name, kept)
        else:
            self._push(name, kept)

    def _make_room(self, name: str) -> bool:
        """Open and close what a part of a table takes; return whether there is a table for it."""
        table = self._find({"table"}, frozenset())
        if table < 0:
            return False
        parents = {"table"} if name in _GROUPS else _GROUPS if name == "tr" else {"tr"}
        at = self._find(parents, {"table"}) if name not in _GROUPS else table
        self._close((at if at >= 0 else max(table, self._find(_GROUPS, {"table"}))) + 1)
        if name not in _GROUPS and self._within({"table"}):
            self._push("tbody", "")
        if name in _CELLS and not self._within({"tr"}):
            self._push("tr", "")
        return True

    def _cell(self) -> None:
        """Open the cell that text or a picture takes which stands directly in a table: browsers would move it before the table."""
        self._make_room("td")
        self._push("td", "")

    def _end_those_before(self, name: str) -> None:
        """Close what an element ends by its start: a paragraph, an item of the same list, a heading, a link."""
        if name in _BLOCKS and (at := self._find({"p"}, _CELLS)) >= 0:
            self._close(at)
        if name in _ITEMS and (at := self._find(*_ITEMS[name])) >= 0:
            self._close(at)
        if name in _HEADINGS and self._within(_HEADINGS):
            self._close(len(self._open) - 1)
        if name == "a" and self._find({"a"}, _CELLS) >= 0:
            self._end("a")

    def _end(self, name: str) -> None:
        if self._left_out[name]:
            self._left_out[name] -= 1
            return
        at = self._find({name}, frozenset() if name == "table" else {"table"} if name in _OF_TABLES else _CELLS)
        if at < 0:
            return
        again = self._open[at + 1 :] if name in _WORDS else ()
        self._close(at)
        for one in again:
            self._push(*one)
        if name == "table":
            self._left_out.clear()

    def _find(self, names: Iterable[str], barriers: Iterable[str]) -> int:
        """Return the place of the innermost open element of some names that no barrier is in; -1 if there is none."""
        for at in range(len(self._open) - 1, -1, -1):
            if self._open[at][0] in names:
                return at
            if self._open[at][0] in barriers:
                return -1
        return -1

    def _within(self, names: Iterable[str]) -> bool:
        return bool(self._open) and self._open[-1][0] in names

    def _leave_out(self, name: str) -> None:
        if name not in _VOID:
            self._left_out[name] += 1

    def _push(self, name: str, attributes: str) -> None:
        self._write(name, attributes)
        self._open.append((name, attributes))

    def _write(self, name: str, attributes: str) -> None:
        self._elements += 1
        if self._elements > MAX_ELEMENTS:
            raise TooManyElements(f"the page has more than {MAX_ELEMENTS} elements")
        self._out.append(f"<{name}{attributes}>")

    def _close(self, at: int) -> None:
        """Close the open elements down to one of them, that one too."""
        self._out += [f"</{name}>" for name, _ in reversed(self._open[at:])]
        del self._open[at:]
