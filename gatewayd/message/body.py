"""What of a mail is its text, and which of its parts are files: by how it is built (RFC 2046, 2183, 2387), never by file names."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import unescape
from typing import TYPE_CHECKING, Literal, TypeAlias
from urllib.parse import unquote

from gatewayd.message.attachments import type_of
from gatewayd.message.encoded_words import header_text
from gatewayd.message.mime import TEXTS, Leaf
from gatewayd.message.transfer_encoding import transfer_decoded
from gatewayd.message.uuencode import embedded
from gatewayd.message.values import CHUNK, Container, Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatewayd.message.mime import Multipart, Node
    from gatewayd.message.sources import Raw

__all__ = ["Alternatives", "Body", "Text", "arranged", "parts_of"]


@dataclass(frozen=True)
class Alternatives:
    """One text in several versions, the best one first: the first that says anything is read (RFC 2046 section 5.1.4)."""

    versions: tuple[Text, ...]


#: Parts that are shown one after the other.
Text: TypeAlias = tuple["Part | Alternatives", ...]


def parts_of(text: Text) -> Iterator[Part]:
    """Yield the parts of a text, of all its versions."""
    for one in text:
        if isinstance(one, Part):
            yield one
        else:
            for version in one.versions:
                yield from parts_of(version)


@dataclass(slots=True)
class Body:
    """How a mail is to be read."""

    text: Text = ()
    attached: list[Leaf] = field(default_factory=list)
    #: What the text shows or is signed by: no files for people, but they can be had.
    inline: list[Leaf] = field(default_factory=list)


#: Of a signature (RFC 8551, RFC 3156), and of the part that says how the next one is encrypted.
_SIGNATURES = {
    *("application/pkcs7-signature", "application/x-pkcs7-signature", "application/pgp-signature"),
    *("application/pgp-encrypted", "application/pgp-keys"),
}
#: What a page shows without naming it.
_SHOWN = ("image/", "audio/", "video/", "font/", "text/")
#: Types of text that are data for programs.
_DATA = re.compile(r"text/(?:calendar|(?:x-)?vcard|directory|css|(?:x-)?csv|javascript|xml|rfc822-headers|x-amp-html)")
_CID = re.compile(r"cid:([^\"'<>\s)\\]{1,998})", re.IGNORECASE)

#: How a leaf is a file: shown or a signature; one that html may show by its Content-ID; a version of the text.
_How: TypeAlias = Literal["attached", "inline", "named", "version"]


def arranged(tree: Node, held: Callable[[tuple[Container, ...]], Raw]) -> Body:
    """Return how a tree is to be read; ``held`` gives the bytes that the parts of a container lie in, or of the message."""
    if isinstance(tree, Leaf) and tree.part.type in TEXTS and not tree.name and not tree.disposition:
        part = tree.part
        if part.type == "text/html" or not _may_hold_files(held(part.within), part):
            return Body((part,))
    return _Walk(held).body(tree)


#: How "begin" looks in base64, by where it stands in a group of three bytes.
_BEGINS = (b"YmVnaW4", b"JlZ2lu", b"iZWdpb")


def _may_hold_files(raw: Raw, part: Part) -> bool:
    """Whether files may stand in a text as lines (``message.uuencode``): a look that costs next to nothing."""
    start, end = part.offset, part.offset + min(part.length, CHUNK)
    if part.encoding != "base64":
        return raw.find(b"begin", start, end) >= 0
    data = raw[start:end].replace(b"\r\n", b"").replace(b"\n", b"")
    return any(begin in data for begin in _BEGINS)


class _Walk:
    """One walk through a tree, whose depth is bounded."""

    def __init__(self, held: Callable[[tuple[Container, ...]], Raw]) -> None:
        self._held = held
        #: Files in their order, each with how it is one.
        self._files: list[tuple[Leaf, _How]] = []
        self._html: list[Part] = []
        self._spare: list[Leaf] = []

    def body(self, tree: Node) -> Body:
        """Return how the tree is to be read."""
        text = self._leaf(tree) if isinstance(tree, Leaf) else self._multipart(tree, within_related=False)
        body = Body(text or self._last_resort())
        shown = {id(one) for one in body.text}
        named: set[str] | None = None
        for leaf, how in self._files:
            inline = how == "inline" or (how == "version" and bool(text))
            if how == "named" and not inline:
                named = self._content_ids() if named is None else named
                inline = leaf.content_id.strip(" \t<>") in named
            if id(leaf.part) in shown and leaf.disposition != "attachment":
                # The text itself: no file, unless it has a name by which it may be wanted.
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
            # Plain text before html, and of two alike the last one, which is the best.
            plain = [version for version in versions if not _has_html(version)]
            html = [version for version in versions if _has_html(version)]
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
            # What belongs to a page is shown by it, and a version that is not read is no file.
            if related and kind.startswith(_SHOWN):
                how = "inline"
            elif version and kind.startswith("text/"):
                how = "version"
        self._files.append((leaf, how))
        return ()

    def _last_resort(self) -> Text:
        """Return the text of a mail that shows none: its first text part, whatever it says of itself."""
        leaves = [*(leaf for leaf, _ in self._files), *self._spare]
        first = next((leaf for leaf in leaves if leaf.part.type in TEXTS), None) or next(
            (leaf for leaf in leaves if leaf.part.type.startswith("text/") and not _DATA.match(leaf.part.type)), None
        )
        return (first.part,) if first else ()

    def _read(self, part: Part) -> bytes:
        """Return what a part stands for, 1 MiB of it."""
        data = self._held(part.within)[part.offset : part.offset + min(part.length, CHUNK)]
        return b"".join(transfer_decoded([data], part.encoding))

    # --- what text says of files --------------------------------------------------------------------------------------

    def _content_ids(self) -> set[str]:
        """Return the ids of the parts that the html shows (RFC 2392)."""
        found: set[str] = set()
        for part in self._html[:_PAGES]:
            html = self._read(part).decode("latin-1")
            found.update(unquote(unescape(one)) for one in _CID.findall(html))
        return found

    def _without_files(self, part: Part) -> Text:
        """Return a text without the files that stand in it as lines, and take those as attachments."""
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
                texts.append(
                    Part(offset=base + at, length=end - at, type=part.type, encoding=encoding, charset=part.charset, within=within)
                )
            if file:
                at = file.end
                name = header_text(file.name.decode("latin-1"))
                start, stop = file.data
                piece = Part(
                    offset=base + start,
                    length=stop - start,
                    type=type_of(name),
                    encoding=file.encoding,
                    charset="",
                    within=within,
                )
                self._files.append((Leaf(piece, name, "attachment"), "attached"))
        return tuple(texts)


#: Of so many pages it is looked what they show.
_PAGES = 20


def _has_html(text: Text) -> bool:
    return any(_has_html(one.versions[0]) if isinstance(one, Alternatives) else one.type == "text/html" for one in text)
