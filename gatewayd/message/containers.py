"""Parts of a mail that hold others in a format of their own: they are opened, within bounds, and named for what they are.

No key is needed for any of them, and no signature is checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from gatewayd.message.attachments import type_of
from gatewayd.message.cms import content_of
from gatewayd.message.header_parsing import HeaderBlock, head
from gatewayd.message.mime import CONTAINERS, Leaf, Multipart, tree
from gatewayd.message.rtf import rtf_bytes
from gatewayd.message.sources import BytesSource, pieces
from gatewayd.message.tnef import begins_tnef, tnef
from gatewayd.message.transfer_encoding import transfer_decoded
from gatewayd.message.values import Container, Part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd.message.mime import Node, ScanLimits
    from gatewayd.message.tnef import TnefFile
    from gatewayd.message.values import Source

__all__ = ["ContainerContents", "OpenedContainers", "inside", "opened"]

#: How much containers of one message may hold, all together, and how deep they may lie in each other (promise P8).
MAX_HELD = 16 << 20
_MAX_DEPTH = 4

#: How much of a file is looked at to see what it is.
_PEEK = 64
#: Names of what is a message whatever it begins with.
_MESSAGES = {"", "smime.p7m"}
_WORDS = {
    "signed": "S/MIME signed data, opened; its signature is not checked",
    "compressed": "S/MIME compressed data, opened",
    "encrypted": "S/MIME encrypted data, which stays closed",
    "tnef": "TNEF of Outlook, opened",
    "pgp": "PGP/MIME encrypted data, which stays closed",
}


class OpenedContainers(NamedTuple):
    """What became of the containers of a tree."""

    tree: Node
    #: The containers themselves: their bytes can be had.
    wrappings: Sequence[Leaf]
    #: What they are, in words for people.
    notes: Sequence[str]


def opened(insides: ContainerContents, node: Node, scan: ScanLimits) -> OpenedContainers:
    """Return the tree with what its containers hold in their places."""
    if not scan.containers:
        return OpenedContainers(node, (), ())
    opener = _Opener(insides, scan)
    return OpenedContainers(opener.node(node), opener.wrappings, tuple(dict.fromkeys(opener.notes)))


def inside(source: Source, within: Sequence[Container]) -> Source:
    """Return what the innermost of these containers holds: nothing where one can't be opened."""
    for container in within:
        data = b"".join(transfer_decoded(pieces(source, container.offset, container.length), container.encoding))
        source = BytesSource(_held(container.kind, data))
    return source


class ContainerContents:
    """What the containers of one message hold. Of each depth the last one stays open: what lies in it is read part by part."""

    def __init__(self, source: Source) -> None:
        self._open: list[tuple[Sequence[Container], Source]] = [((), source)]

    def __call__(self, within: tuple[Container, ...]) -> Source:
        """Return what the innermost of these containers holds."""
        depth = 0
        while depth < len(within) and depth + 1 < len(self._open) and self._open[depth + 1][0] == within[: depth + 1]:
            depth += 1
        if depth < len(within):
            del self._open[depth + 1 :]
        for container in within[depth:]:
            depth += 1
            self._open.append((within[:depth], inside(self._open[-1][1], (container,))))
        return self._open[depth][1]


def _held(kind: str, data: bytes) -> bytes:
    if kind in {"signed", "compressed"}:
        found = content_of(data, MAX_HELD)
        return found[1] if found else b""
    return rtf_bytes(data, MAX_HELD) if kind == "rtf" else data


class _Opener:
    """Opens the containers of one message."""

    def __init__(self, insides: ContainerContents, scan: ScanLimits) -> None:
        self._insides = insides
        self._scan = scan
        self._left = MAX_HELD
        self.wrappings: list[Leaf] = []
        self.notes: list[str] = []

    def node(self, node: Node) -> Node:
        """Return a node with all containers below it opened."""
        if isinstance(node, Leaf):
            return self._leaf(node)
        if node.kind == "multipart/encrypted":
            self.notes.append(f"it has {_WORDS['pgp']}")
        node.parts = [self.node(part) for part in node.parts]
        return node

    def _leaf(self, leaf: Leaf) -> Node:
        name, kind = leaf.name.lower(), leaf.part.type
        if kind not in CONTAINERS:
            return leaf
        if kind == "application/octet-stream":
            # Some send them as any file: a name says what it is, or its first bytes do.
            return self._cms(leaf) if name.endswith(".p7m") else self._tnef(leaf) if begins_tnef(self._begin(leaf)) else leaf
        return self._tnef(leaf) if kind.endswith("tnef") else self._cms(leaf)

    def _begin(self, leaf: Leaf) -> bytes:
        """Return the first bytes of a leaf, decoded."""
        part = leaf.part
        data = self._insides(part.within).read(part.offset, min(part.length, _PEEK))
        return b"".join(transfer_decoded([data], part.encoding))

    def _read(self, leaf: Leaf) -> bytes | None:
        """Return what a leaf's bytes are, decoded; None where there are too many."""
        part = leaf.part
        if part.length > 2 * self._left or len(part.within) >= _MAX_DEPTH:
            self._scan.fault(f"its containers hold more than {MAX_HELD} bytes, or lie deeper than {_MAX_DEPTH}")
            return None
        data = b"".join(transfer_decoded(pieces(self._insides(part.within), part.offset, part.length), part.encoding))
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
                # A signed file, and no message: it stays as it was sent.
                return leaf
            top = HeaderBlock([], {}, 0, plain=True)
        self.notes.append(f"{leaf.name or 'it'} is {_WORDS[kind]}")
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
        self.notes.append(f"{leaf.name or 'it'} is {_WORDS['tnef']}")
        self.wrappings.append(leaf)
        within = (*leaf.part.within, _container(leaf, "tnef"))
        node = Multipart("container/tnef", [_file(file, within) for file in files])
        for text in texts[:1]:
            part = Part(
                offset=text.start,
                length=text.end - text.start,
                type=text.type,
                encoding="binary",
                charset=text.charset,
                within=within,
            )
            if text.type == "text/rtf":
                held = (*within, Container("rtf", part.offset, part.length, "binary"))
                part = Part(offset=0, length=MAX_HELD, type=text.type, encoding="binary", charset="", within=held)
            node.parts.append(Leaf(part, "", "spare"))
        return node


def _container(leaf: Leaf, kind: Literal["signed", "compressed", "tnef"]) -> Container:
    return Container(kind, leaf.part.offset, leaf.part.length, leaf.part.encoding)


def _file(file: TnefFile, within: tuple[Container, ...]) -> Leaf:
    kind = file.type if "/" in file.type else type_of(file.name)
    if file.message:
        kind = "application/ms-tnef"
    part = Part(
        offset=file.start,
        length=file.end - file.start,
        type=kind,
        encoding="binary",
        charset="",
        within=within,
    )
    return Leaf(part, file.name, "attachment", file.content_id)
