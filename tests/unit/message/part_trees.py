"""The parts of raw mail, as tests look at them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.message import mime
from gatewayd.message.header_parsing import head

if TYPE_CHECKING:
    from gatewayd.message.sources import Window

MIXED = b"Content-Type: multipart/mixed; boundary=%s\r\n\r\n"


def leaves(raw: bytes | Window) -> tuple[list[mime.Leaf], list[str]]:
    faults: list[str] = []
    return flat(mime.tree(raw, head(raw, 0, len(raw)), mime.ScanLimits(faults))), faults


def flat(node: mime.Node) -> list[mime.Leaf]:
    return [node] if isinstance(node, mime.Leaf) else [leaf for part in node.parts for leaf in flat(part)]
