"""Read JSON objects that servers send."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["json_object", "text_of"]


def json_object(body: bytes) -> Mapping[str, object] | None:
    """Return the object that a body is; None if it is none."""
    try:
        found: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def text_of(data: object, *names: str) -> str:
    """Return the text that lies under these names, one within the other; empty if there is none."""
    for name in names:
        data = data.get(name) if isinstance(data, dict) else None
    return data if isinstance(data, str) else ""
