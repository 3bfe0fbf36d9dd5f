"""Say what a secret is about, in bytes that are authenticated together with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["About", "about_bytes"]

#: What a secret is about, by words that no rename changes: it is authenticated with the secret, and not kept.
About: TypeAlias = "Mapping[str, str]"


def about_bytes(about: About) -> bytes:
    """Return ``about`` as bytes that are the same in every process, and different for whatever differs."""
    return json.dumps(dict(about), sort_keys=True, separators=(",", ":")).encode("ascii")
