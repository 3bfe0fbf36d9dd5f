"""Open the parts of a mail that contain other parts in formats of their own: signed and compressed S/MIME, and TNEF.

None of them needs a key, and no signature is checked.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Literal

from gatewayd.message.attachments import type_of
from gatewayd.message.cms import content_of
from gatewayd.message.header_parsing import HeaderBlock, head
from gatewayd.message.mime import CONTAINERS, Leaf, Multipart, tree
from gatewayd.message.rtf import rtf_bytes
from gatewayd.message.sources import BytesSource, opened, pieces
from gatewayd.message.tnef import begins_tnef, tnef
from gatewayd.message.transfer_encoding import transfer_decoded
from gatewayd.message.values import Container, Part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd.message.mime import Node, ScanLimits
    from gatewayd.message.sources import Raw
    from gatewayd.message.values import Source

__all__ = ["ContainerContents", "ContainerOpener", "inside"]

#: How many bytes the containers of one message may hold together, and how deep they may be nested (promise P8).
MAX_HELD = 16 << 20
_MAX_DEPTH = 4

#: How many bytes of a file are read to recognize its format.
_PEEK = 64
#: File names of a signed message: its content is a message even without MIME headers.
_MESSAGES = {"", "smime.p7m"}
_KINDS = {
    "signed": "S/MIME signed data, opened; its signature is not checked",
    "compressed": "S/MIME compressed data, opened",
    "encrypted": "S/MIME encrypted data, which stays closed",
    "tnef": "TNEF of Outlook, opened",
    "pgp": "PGP/MIME encrypted data, which stays closed",
}


def inside(source: Source, within: Sequence[Container]) -> Source:
    """Return the contents of the innermost of these nested containers; they are empty if one of them can't be opened."""
    for container in within:
        data = b"".join(transfer_decoded(pieces(source, container.offset, container.length), container.encoding))
        if container.kind in {"signed", "compressed"}:
            found = content_of(data, MAX_HELD)
            data = found[1] if found else b""
        elif container.kind == "rtf":
            data = rtf_bytes(data, MAX_HELD)
        source = BytesSource(data)
    return source


class ContainerContents:
    """The contents of one message and of its containers. The last container of each depth stays open, since its parts follow."""

    def __init__(self, source: Source) -> None:
        self._open: list[tuple[Sequence[Container], Source]] = [((), source)]

    def __call__(self, within: tuple[Container, ...]) -> Source:
        """Return the contents of the innermost of these containers; the message itself if there are none."""
        depth = 0
        while depth < len(within) and depth + 1 < len(self._open) and self._open[depth + 1][0] == within[: depth + 1]:
            depth += 1
        if depth < len(within):
            del self._open[depth + 1 :]
        for container in within[depth:]:
            depth += 1
            self._open.append((within[:depth], inside(self._open[-1][1], (container,))))
        return self._open[depth][1]

    @cached_property
    def _message(self) -> Raw:
        return opened(self._open[0][1])

    def raw(self, within: tuple[Container, ...]) -> Raw:
        """Return the same as a call does, for scanning."""
        return opened(self(within), whole=MAX_HELD) if within else self._message


class ContainerOpener:
    """Opens the containers of one message, within its bounds."""

    def __init__(self, contents: ContainerContents, scan: ScanLimits) -> None:
        self._contents = contents
        self._scan = scan
        self._left = MAX_HELD
        #: The containers that were opened; their own bytes can still be read.
        self.wrappings: list[Leaf] = []
        #: What was opened and what was not, in words for people.
        self.notes: list[str] = []

    def node(self, node: Node) -> Node:
        """Return a node in which each container is replaced by its contents."""
        if isinstance(node, Leaf):
            return self._leaf(node)
        if node.kind == "multipart/encrypted":
            self.notes.append(f"it has {_KINDS['pgp']}")
        node.parts = [self.node(part) for part in node.parts]
        return node

    def _leaf(self, leaf: Leaf) -> Node:
        name, kind = leaf.name.lower(), leaf.part.type
        if kind not in CONTAINERS:
            return leaf
        if kind == "application/octet-stream":
            # Some programs send containers as any file: they are recognized by the name or by the first bytes.
            if name.endswith(".p7m"):
                return self._cms(leaf)
            part = leaf.part
            data = self._contents(part.within).read(part.offset, min(part.length, _PEEK))
            return self._tnef(leaf) if begins_tnef(b"".join(transfer_decoded([data], part.encoding))) else leaf
        return self._tnef(leaf) if kind.endswith("tnef") else self._cms(leaf)

    def _read(self, leaf: Leaf) -> bytes | None:
        """Return the decoded bytes of a leaf; None if they are too many."""
        part = leaf.part
        if part.length > 2 * self._left or len(part.within) >= _MAX_DEPTH:
            self._scan.fault(f"its containers hold more than {MAX_HELD} bytes, or lie deeper than {_MAX_DEPTH}")
            return None
        data = b"".join(transfer_decoded(pieces(self._contents(part.within), part.offset, part.length), part.encoding))
        self._left -= len(data)
        return data

    def _cms(self, leaf: Leaf) -> Node:
        data = self._read(leaf)
        found = content_of(data, max(self._left, 0)) if data else None
        if found is None:
            return leaf
        kind, content = found
        top = head(content, 0, len(content))
        if kind != "encrypted" and not any(name.startswith(("content-", "mime-")) for name in top.first):
            if leaf.name.lower() not in _MESSAGES or b"\0" in content:
                # The content is a signed file and no message: it stays as it was sent.
                return leaf
            top = HeaderBlock([], {}, 0, plain=True)
        self.notes.append(f"{leaf.name or 'it'} is {_KINDS[kind]}")
        if kind == "encrypted":
            return leaf
        self.wrappings.append(leaf)
        self._left -= len(content)
        within = (*leaf.part.within, _container(leaf, kind))
        return self.node(tree(content, top, self._scan, depth=len(within), within=within))

    def _tnef(self, leaf: Leaf) -> Node:
        data = self._read(leaf)
        found = tnef(data) if data else None
        if found is None or not any(found):
            return leaf
        files, texts = found
        self.notes.append(f"{leaf.name or 'it'} is {_KINDS['tnef']}")
        self.wrappings.append(leaf)
        within = (*leaf.part.within, _container(leaf, "tnef"))
        node = Multipart("container/tnef")
        for file in files:
            kind = file.type if "/" in file.type else type_of(file.name)
            kind = "application/ms-tnef" if file.message else kind
            size = file.end - file.start
            part = Part(offset=file.start, length=size, type=kind, encoding="binary", charset="", within=within)
            node.parts.append(Leaf(part, file.name, "attachment", file.content_id))
        for text in texts[:1]:
            size = text.end - text.start
            part = Part(offset=text.start, length=size, type=text.type, encoding="binary", charset=text.charset, within=within)
            if text.type == "text/rtf":
                held = (*within, Container("rtf", part.offset, part.length, "binary"))
                part = Part(offset=0, length=MAX_HELD, type=text.type, encoding="binary", charset="", within=held)
            node.parts.append(Leaf(part, "", "spare"))
        return node


def _container(leaf: Leaf, kind: Literal["signed", "compressed", "tnef"]) -> Container:
    return Container(kind, leaf.part.offset, leaf.part.length, leaf.part.encoding)
