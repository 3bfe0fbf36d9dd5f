"""Read the text of a mail: as words for search and matching, or as it is shown to people."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gatewayd.message import containers
from gatewayd.message.body import Alternatives, has_html
from gatewayd.message.charsets import to_text
from gatewayd.message.control_characters import clean
from gatewayd.message.html_text import declared, html_to_text
from gatewayd.message.rtf import rtf_to_text
from gatewayd.message.transfer_encoding import transfer_decoded
from gatewayd.message.values import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewayd.message.body import Text
    from gatewayd.message.values import Part, Source

__all__ = ["Reading", "ShownText"]

#: How many pieces of text are shown; more than a few are no letter.
_MAX_SHOWN = 100
#: A visible character. Some programs write a plain text of white space and zero-width characters only.
_SAYS = re.compile(
    "[^\\s\u00ad\u034f\u061c\u115f\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufe0f\ufeff]"
)
_PICTURE = re.compile(r"<img\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownText:
    """A piece of a mail's text as it is shown: plain text, or html as it came, which is not safe to show as it is."""

    kind: Literal["plain", "html"]
    text: str
    #: Whether there is more of it, or after it, than was read.
    cut: bool = False

    @property
    def words(self) -> str:
        """The text alone, without markup."""
        return html_to_text(self.text) if self.kind == "html" else self.text

    @property
    def says(self) -> bool:
        """Whether there is anything to see in it."""
        return bool(_SAYS.search(self.words)) or (self.kind == "html" and bool(_PICTURE.search(self.text)))


class Reading:
    """Reads the text of one mail, at most 1 MiB of it."""

    def __init__(self, source: Source) -> None:
        self._contents = containers.ContainerContents(source)
        self._room = CHUNK

    def text(self, body: Text) -> str:
        """Return the text of the parts, joined by line ends, with html reduced to text."""
        return "\n".join([self._best(one) if isinstance(one, Alternatives) else self._part(one) for one in body])

    def shown(self, body: Text) -> tuple[ShownText, ...]:
        """Return the text in pieces; of several versions html is preferred, since its writer saw that."""
        found: list[ShownText] = []
        for one in self._shown(body):
            if len(found) == _MAX_SHOWN:
                return (*found, ShownText(kind="plain", text="", cut=True))
            found.append(one)
        return tuple(found)

    def _shown(self, body: Text) -> Iterator[ShownText]:
        for one in body:
            if isinstance(one, Alternatives):
                yield from self._shown_version(one)
            else:
                yield self._piece(one)

    def _shown_version(self, alternatives: Alternatives) -> list[ShownText]:
        """Return the first version with something to see, html before plain text; if all are blank, the first."""
        first: list[ShownText] = []
        for version in sorted(alternatives.versions, key=lambda text: not has_html(text)):
            pieces = list(self._shown(version))
            if any(piece.says for piece in pieces):
                return pieces
            first = first or pieces
        return first

    def _piece(self, part: Part) -> ShownText:
        cut = part.length > self._room
        html = part.type == "text/html"
        return ShownText(kind="html" if html else "plain", text=self._decoded(part), cut=cut)

    def _best(self, alternatives: Alternatives) -> str:
        """Return the first version that is not blank; if all are blank, the first."""
        first = ""
        for version in alternatives.versions:
            text = self.text(version)
            if _SAYS.search(text):
                return text
            first = first or text
        return first

    def _part(self, part: Part) -> str:
        text = self._decoded(part)
        return html_to_text(text) if part.type == "text/html" else text

    def _decoded(self, part: Part) -> str:
        """Return a part as text, html as it is."""
        data = self._contents(part.within).read(part.offset, min(part.length, self._room))
        self._room -= len(data)
        data = b"".join(transfer_decoded([data], part.encoding))
        if part.type == "text/rtf":
            return clean(rtf_to_text(data), line=False)
        charset = declared(data, part.charset) if part.type == "text/html" else part.charset
        text = to_text(data, charset).removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
        return clean(text, line=False)
