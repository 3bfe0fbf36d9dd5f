"""Links of mail: which may be followed, which say that they lead elsewhere than they do, and those in plain text."""

from __future__ import annotations

import html
import re
from itertools import islice
from typing import TYPE_CHECKING

from gatewayd_web.html_tokens import EndTag, StartTag, reference_free

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gatewayd_web.html_tokens import Token

__all__ = ["host_of", "linked", "marked", "safe_link"]

_MAX_URL = 4000
#: What browsers take away from the ends of a URL, and within it (URL Standard section 4.4).
_ENDS = "".join(map(chr, range(0x21)))
_WITHIN = re.compile(r"[\t\n\r]")
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.\-]*+):")
_AUTHORITY = re.compile(r"[^/?#]*+")
_HOST = re.compile(r"[^\x00-\x20\"#%/:<>?@\[\\\]^`{|}\x7f]{1,253}+|\[[0-9a-fA-F:.]{2,45}+\]")
_PORT = re.compile(r":[0-9]{0,5}")
_PLAIN = {"mailto", "tel"}

#: The text of a link that looks like an address of its own. Longer text is prose.
_SAYS_HOST = re.compile(r"(?:https?:/*)?((?:[^\x00-\x20/:?#@<>.]{1,63}\.){1,8}[^\W\d_]{2,24})(?:[:/?#]\S*)?", re.IGNORECASE)
_MAX_SAID = 300


def safe_link(value: str) -> str | None:
    """Return the URL of a link, written out as browsers understand it, without a user's name; None if it must not be followed.

    ``value`` is as it stands in the page. What is relative has nothing here that it could be relative to.
    """
    url = _WITHIN.sub("", reference_free(value).strip(_ENDS))
    if len(url) > _MAX_URL:
        return None
    if url.startswith("//"):
        url = f"https:{url}"
    elif url.lower().startswith("www."):
        url = f"http://{url}"
    scheme = _SCHEME.match(url)
    if scheme is None:
        return None
    rest = url[scheme.end() :]
    if scheme[1].lower() in _PLAIN:
        return f"{scheme[1].lower()}:{rest}"
    return _web(scheme[1].lower(), rest) if scheme[1].lower() in {"http", "https"} else None


def _web(scheme: str, rest: str) -> str | None:
    """Return a URL of the web; browsers take backslashes for slashes, and need none of them at its start."""
    end = min((at for sign in "?#" if (at := rest.find(sign)) >= 0), default=len(rest))
    path = rest[:end].replace("\\", "/").lstrip("/")
    authority = _AUTHORITY.match(path)
    place = (authority[0] if authority else "").rpartition("@")[2]
    host = _HOST.match(place)
    if host is None or not _PORT.fullmatch(place[host.end() :] or ":"):
        return None
    return f"{scheme}://{place}{path[len(authority[0]) if authority else 0 :]}{rest[end:]}"


def host_of(url: str) -> str:
    """Return the host of a URL that ``safe_link`` returned, in lower case; empty for a mail address."""
    place = url.partition("://")[2]
    host = _HOST.match(place)
    return host[0].lower().rstrip(".") if host else ""


def marked(page: Iterable[Token]) -> Iterator[Token]:
    """Yield a page with the host of each link after it whose text is the address of another host. Its own marks are left out."""
    host, said = "", ""
    for token in page:
        name = "" if isinstance(token, str) else token.name
        if name == "mark":
            continue
        yield token
        if isinstance(token, str):
            said += token[: _MAX_SAID + 1] if host and len(said) <= _MAX_SAID else ""
        elif name == "a" and isinstance(token, StartTag):
            host, said = host_of(safe_link(token.attributes.get("href", "")) or ""), ""
        elif name == "a":
            if host and _leads_elsewhere(said, host):
                yield from (StartTag("mark"), f"\N{RIGHTWARDS ARROW} {html.escape(host)}", EndTag("mark"))
            host = ""


def _leads_elsewhere(said: str, host: str) -> bool:
    if len(said) > _MAX_SAID:
        return False
    found = _SAYS_HOST.fullmatch(" ".join(html.unescape(said).split()))
    named = found[1].lower().removeprefix("www.") if found else ""
    return bool(named) and named != host and not host.endswith(f".{named}") and not named.endswith(f".{host}")


#: A URL in plain text, up to what can't belong to it.
_IN_TEXT = re.compile(r"https?://[^\x00-\x20<>\"'`{|}\\^\x7f]{3,2000}+", re.IGNORECASE)
#: More links in plain text are left as text.
_MAX_LINKS = 2000
_CLOSES = {")": "(", "]": "["}


def linked(text: str) -> str:
    """Return plain text as HTML whose URLs can be followed."""
    pieces, at = [], 0
    for found in islice(_IN_TEXT.finditer(text), _MAX_LINKS):
        url = _without_end(found[0])
        target = safe_link(url.replace("&", "&amp;"))
        if target is None:
            continue
        pieces += [html.escape(text[at : found.start()]), f'<a href="{html.escape(target)}">{html.escape(url)}</a>']
        at = found.start() + len(url)
    return "".join([*pieces, html.escape(text[at:])])


def _without_end(url: str) -> str:
    """Return a URL without the punctuation of the sentence that it stands in."""
    for _ in range(8):
        last = url[-1]
        if last not in ".,;:!?*_~" and (last not in _CLOSES or url.count(_CLOSES[last]) >= url.count(last)):
            break
        url = url[:-1]
    return url
