"""Decide which parts of a mail are its text and which are files, by its structure (RFC 2046, 2183, 2387), not by file names; of
several versions of a text, ``mail.py`` reads the first that is not blank.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from html import unescape
from typing import TYPE_CHECKING, Literal, TypeAlias
from urllib.parse import unquote

from gatewayd.message.attachments import bare_id, type_of
from gatewayd.message.encoded_words import header_text
from gatewayd.message.mime import TEXTS, Leaf
from gatewayd.message.transfer_encoding import transfer_decoded
from gatewayd.message.uuencode import embedded
from gatewayd.message.values import CHUNK, Container, Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatewayd.message.mime import Multipart, Node
    from gatewayd.message.sources import Raw

__all__ = ["Alternatives", "Body", "Text", "arranged", "has_html", "parts_of"]


@dataclass(frozen=True)
class Alternatives:
    """One text in several versions, the best first: the first that is not blank is read (RFC 2046 section 5.1.4)."""

    versions: tuple[Text, ...]


#: Parts that are shown one after another.
Text: TypeAlias = tuple["Part | Alternatives", ...]


def parts_of(text: Text) -> Iterator[Part]:
    """Yield the parts of a text, those of all versions included."""
    for one in text:
        if isinstance(one, Part):
            yield one
        else:
            for version in one.versions:
                yield from parts_of(version)


@dataclass(slots=True)
class Body:
    """The text and the files of a mail."""

    text: Text = ()
    attached: list[Leaf] = field(default_factory=list)
    #: Parts that the text shows, and signatures: no files for people, but they can be read.
    inline: list[Leaf] = field(default_factory=list)


#: Types of signatures (RFC 8551, RFC 3156), of PGP keys, and of the part that describes how the next one is encrypted.
_SIGNATURES = {
    *("application/pkcs7-signature", "application/x-pkcs7-signature", "application/pgp-signature"),
    *("application/pgp-encrypted", "application/pgp-keys"),
}
#: Types of parts in a multipart/related that a page shows even if it does not refer to them.
_SHOWN = ("image/", "audio/", "video/", "font/", "text/")
#: Types of text that is data for programs.
_DATA = re.compile(r"text/(?:calendar|(?:x-)?vcard|directory|css|(?:x-)?csv|javascript|xml|rfc822-headers|x-amp-html)")
_CID = re.compile(r"cid:([^\"'<>\s)\\]{1,998})", re.IGNORECASE)

#: How a leaf is a file: attached; inline, i.e. shown by the text or a signature; named by a Content-ID; a version of the text.
_How: TypeAlias = Literal["attached", "inline", "named", "version"]


def arranged(tree: Node, held: Callable[[tuple[Container, ...]], Raw]) -> Body:
    """Return the text and the files of a tree.

    ``held`` returns the contents of the innermost of some containers, and the message itself for none.
    """
    if isinstance(tree, Leaf) and tree.part.type in TEXTS and not tree.name and not tree.disposition:
        part = tree.part
        if part.type == "text/html" or not _may_hold_files(held(part.within), part):
            return Body((part,))
    return _Walk(held).body(tree)


#: "begin" in base64, at each of its positions in a group of three bytes.
_BEGINS = (b"YmVnaW4", b"JlZ2lu", b"iZWdpb")


def _may_hold_files(raw: Raw, part: Part) -> bool:
    """Whether a text may contain files as lines (``message.uuencode``): a quick check, which may be wrong if it is true."""
    start, end = part.offset, part.offset + min(part.length, CHUNK)
    if part.encoding != "base64":
        return raw.find(b"begin", start, end) >= 0
    data = raw[start:end].replace(b"\r\n", b"").replace(b"\n", b"")
    return any(begin in data for begin in _BEGINS)


class _Walk:
    """One pass through a tree, whose depth is bounded."""

    def __init__(self, held: Callable[[tuple[Container, ...]], Raw]) -> None:
        self._held = held
        #: Files in their order.
        self._files: list[tuple[Leaf, _How]] = []
        self._html: list[Part] = []
        self._spare: list[Leaf] = []

    def body(self, tree: Node) -> Body:
        """Return the text and the files of the tree."""
        text = self._leaf(tree) if isinstance(tree, Leaf) else self._multipart(tree, within_related=False)
        body = Body(text or self._last_resort())
        shown = {id(one) for one in body.text}
        named: set[str] | None = None
        for leaf, how in self._files:
            inline = how == "inline" or (how == "version" and bool(text))
            if how == "named" and not inline:
                named = self._content_ids() if named is None else named
                inline = bare_id(leaf.content_id) in named
            if id(leaf.part) in shown and leaf.disposition != "attachment":
                # The text itself is no file, unless it has a name by which somebody may ask for it.
                inline = True
                if not leaf.name:
                    continue
            (body.inline if inline else body.attached).append(leaf)
        return body

    # --- text ---------------------------------------------------------------------------------------------------------

    def _multipart(self, node: Multipart, *, within_related: bool) -> Text:
        versions: list[Text] = []
        for place, child in enumerate(node.parts):
            related = within_related or (node.kind == "multipart/related" and place > 0)
            if isinstance(child, Leaf):
                signature = place > 0 and node.kind == "multipart/signed"
                text = self._leaf(child, related=related, signature=signature, version=node.kind == "multipart/alternative")
            else:
                text = self._multipart(child, within_related=related)
            if text:
                versions.append(text)
        if node.kind == "multipart/alternative" and len(versions) > 1:
            # Plain text precedes html; of two that are alike, the last one is the best.
            plain = [version for version in versions if not has_html(version)]
            html = [version for version in versions if has_html(version)]
            return (Alternatives((*reversed(plain), *reversed(html))),)
        return tuple(part for text in versions for part in text)

    def _leaf(self, leaf: Leaf, *, related: bool = False, signature: bool = False, version: bool = False) -> Text:
        kind = leaf.part.type
        if leaf.disposition == "spare":
            self._spare.append(leaf)
            return ()
        if kind in TEXTS and leaf.disposition != "attachment":
            if kind == "text/html":
                self._html.append(leaf.part)
            if leaf.name:
                self._files.append((leaf, "inline"))
            return self._without_files(leaf.part) if kind == "text/plain" else (leaf.part,)
        how: _How = "named" if leaf.content_id else "attached"
        if signature or kind in _SIGNATURES:
            how = "inline"
        elif leaf.disposition != "attachment":
            # A page shows the parts that belong to it, and a version that is not read is no file.
            if related and kind.startswith(_SHOWN):
                how = "inline"
            elif version and kind.startswith("text/"):
                how = "version"
        self._files.append((leaf, how))
        return ()

    def _last_resort(self) -> Text:
        """Return the text of a mail that shows no text: its first text part, even if it is an attachment."""
        leaves = [*(leaf for leaf, _ in self._files), *self._spare]
        first = next((leaf for leaf in leaves if leaf.part.type in TEXTS), None) or next(
            (leaf for leaf in leaves if leaf.part.type.startswith("text/") and not _DATA.match(leaf.part.type)), None
        )
        return (first.part,) if first else ()

    def _read(self, part: Part) -> bytes:
        """Return the decoded bytes of a part, of at most 1 MiB of its encoded ones."""
        data = self._held(part.within)[part.offset : part.offset + min(part.length, CHUNK)]
        return b"".join(transfer_decoded([data], part.encoding))

    # --- files that the text names or contains --------------------------------------------------------------------------

    def _content_ids(self) -> set[str]:
        """Return the Content-IDs of the parts that the html shows (RFC 2392)."""
        found: set[str] = set()
        for part in self._html[:_PAGES]:
            html = self._read(part).decode("latin-1")
            found.update(unquote(unescape(one)) for one in _CID.findall(html))
        return found

    def _without_files(self, part: Part) -> Text:
        """Return a text without the files that it contains as lines, and add those to the attachments."""
        if part.encoding == "x-uuencode" or not _may_hold_files(self._held(part.within), part):
            return (part,)
        encoded = part.encoding in {"quoted-printable", "base64"}
        data = self._read(part)
        files = embedded(data)
        if not files:
            return (part,)
        base, within = part.offset, part.within
        if encoded:
            base, within = 0, (*within, Container("text", part.offset, part.length, part.encoding))
        texts, at = [], 0
        encoding = "8bit" if encoded else part.encoding
        for file in (*files, None):
            end = file.start if file else (len(data) if encoded else part.length)
            if end > at:
                texts.append(replace(part, offset=base + at, length=end - at, encoding=encoding, within=within))
            if file:
                at = file.end
                name, kind = header_text(file.name.decode("latin-1")), file.encoding
                start, size = base + file.data[0], file.data[1] - file.data[0]
                piece = Part(offset=start, length=size, type=type_of(name), encoding=kind, charset="", within=within)
                self._files.append((Leaf(piece, name, "attachment"), "attached"))
        return tuple(texts)


#: How many pages are searched for the parts that they show.
_PAGES = 20


def has_html(text: Text) -> bool:
    """Whether html is among the parts of a text."""
    return any(has_html(one.versions[0]) if isinstance(one, Alternatives) else one.type == "text/html" for one in text)
