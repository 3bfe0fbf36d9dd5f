"""Pictures of mail: which may be shown, and how without a request: within the page itself.

A frame in a sandbox has no origin, so its requests to us would come without the cookie of whoever is logged in.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from gatewayd_web.html_tokens import reference_free
from gatewayd_web.picture_sizes import pixels_of, type_of
from gatewayd_web.safe_links import safe_link

if TYPE_CHECKING:
    from gatewayd import Mail

__all__ = ["Pictures"]

#: How many pixels all pictures of a page may have; browsers keep four bytes of each.
MAX_PIXELS = 200_000_000
#: How many characters all pictures of a page may take, each time that they are shown.
MAX_CHARACTERS = 16 << 20
_DATA = re.compile(r"data:image/[a-z.+\-]{1,20};base64,", re.IGNORECASE)
_NONE = ("", 0)
_SPACE = re.compile(r"[\t\n\f\r ]+")


class Pictures:
    """The pictures of one page."""

    def __init__(self, mail: Mail | None, *, remote: bool) -> None:
        #: How many pictures lie elsewhere, whether they are shown or not.
        self.elsewhere = 0
        #: How many pictures of the mail itself are not shown, since the page would become too large.
        self.too_large = 0
        self._mail = mail
        self._remote = remote
        self._room = MAX_CHARACTERS
        self._pixels = MAX_PIXELS
        self._known: dict[str, tuple[str, int]] = {}
        files = (*mail.attachments, *mail.inline) if mail else ()
        self._numbers = {one.content_id: number for number, one in reversed([*enumerate(files)]) if one.content_id}
        self._sizes = [one.size for one in files]

    def source(self, value: str) -> str:
        """Return what a picture is shown from, for its ``src`` as it stands in the page; empty if it is not shown."""
        if value[:20].lstrip().lower().startswith("data:"):
            return self._counted(self._data(value))
        url = reference_free(value).strip()
        if url[:4].lower() == "cid:":
            return self._counted(self._own(unquote(url[4:])))
        link = safe_link(value) or ""
        if not link.startswith(("http://", "https://")):
            return ""
        self.elsewhere += 1
        return f"https://{link.partition('://')[2]}" if self._remote else ""

    def _counted(self, picture: tuple[str, int]) -> str:
        """Return a picture of so many pixels, if there is room for it."""
        url, pixels = picture
        if len(url) > self._room or pixels > self._pixels:
            self.too_large += 1
            return ""
        self._room -= len(url)
        self._pixels -= pixels
        return url

    def _own(self, content_id: str) -> tuple[str, int]:
        """Return a picture of the mail as a URL that holds it; empty if there is none, or it is no picture."""
        if content_id not in self._known and self._mail is not None and content_id in self._numbers:
            number = self._numbers[content_id]
            if self._sizes[number] * 4 // 3 > self._room:
                self.too_large += 1
                return _NONE
            self._known[content_id] = _within_page(b"".join(self._mail.attachment(number)))
        return self._known.get(content_id, _NONE)

    @staticmethod
    def _data(value: str) -> tuple[str, int]:
        head = _DATA.match(value.strip())
        if head is None:
            return _NONE
        try:
            return _within_page(base64.b64decode(_SPACE.sub("", unquote(value.strip()[head.end() :])), validate=True))
        except (binascii.Error, ValueError):
            return _NONE


def _within_page(data: bytes) -> tuple[str, int]:
    """Return a picture as a URL that holds it, and its pixels."""
    kind = type_of(data)
    pixels = pixels_of(data, kind) if kind else 0
    return (f"data:{kind};base64,{base64.b64encode(data).decode()}", pixels) if pixels else _NONE
