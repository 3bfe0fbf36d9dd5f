"""URLs of HTTP servers, as YAML fields and as the client takes them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from pydantic import PlainValidator, WithJsonSchema

if TYPE_CHECKING:
    from urllib.parse import SplitResult

__all__ = ["HttpUrl", "split_url", "target_of"]

_MAX_URL = 2000
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_HOST = re.compile(r"[A-Za-z0-9_.:-]{1,253}")


def split_url(value: object, limit: int = _MAX_URL) -> SplitResult:
    """Return a URL of a server in its parts; raises ValueError with what was expected. It may have ``limit`` characters."""
    if not isinstance(value, str) or len(value) > limit or not _VISIBLE.fullmatch(value):
        raise ValueError(f"expected a URL of at most {limit} ASCII characters without spaces (names in other scripts as xn--...)")
    try:
        parts = urlsplit(value)
        # Raises UnicodeError, a ValueError, for empty or too long labels (RFC 1035 section 2.3.4).
        str(parts.hostname).encode("idna")
        port = parts.port
    except ValueError:
        raise ValueError("expected a URL such as https://crm.example.com/mail: its host or its port can't be one") from None
    if parts.scheme not in ("https", "http") or not _HOST.fullmatch(parts.hostname or ""):
        raise ValueError("expected a URL such as https://crm.example.com/mail")
    if port == 0 or "@" in parts.netloc or "#" in value:
        raise ValueError("expected a URL without user, password, fragment and port 0")
    return parts


def target_of(parts: SplitResult) -> str:
    """Return the path and query of a URL, as requests have them (RFC 9112 section 3.2.1)."""
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.path or '/'}{query}"


def _url(value: object) -> str:
    # The URL is used exactly as it was given: one put together again may differ.
    split_url(value)
    return str(value)


#: A YAML field: an absolute URL of http or https, without user, password and fragment.
HttpUrl = Annotated[str, PlainValidator(_url), WithJsonSchema({"type": "string", "pattern": "^https?://[!-~]+$"})]
