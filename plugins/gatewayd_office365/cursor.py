"""Where the listing of a folder goes on: a link of Graph, and what must be remembered beside it."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gatewayd_office365.json_objects import json_object, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DeltaCursor", "moment_of"]

#: The version of the text.
_VERSION = "graph1 "
#: As long as a link in an answer may be (``HttpPool.target``): one that is used and not read again would begin each visit anew.
_MAX_LINK = 1 << 14
#: Printable ASCII, as a request's target has.
_TARGET = re.compile(r"/[\x21-\x7e]*")
_LAST_SECOND = 253402300799


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaCursor:
    """Where the listing of a folder goes on."""

    #: The mailbox as the config names it: an account may get another one.
    mailbox: str
    #: The id of the folder: another folder may have its name by now.
    folder: str
    #: The path and query of the next page's link, or of the next round's.
    link: str
    #: While the folder is listed from its beginning: what arrived up to this second of 1970 is backlog. 0 afterwards.
    backlog_until: int = 0
    #: When what arrived lately was last listed, in seconds since 1970.
    compared: int = 0

    @classmethod
    def parse(cls, text: str | None) -> DeltaCursor | None:
        """Return the cursor that ``str`` gave a text for; None for any other text."""
        if text is None or not text.startswith(_VERSION):
            return None
        data = json_object(text.removeprefix(_VERSION).encode("utf-8", "replace")) or {}
        mailbox, folder, link = (text_of(data, name) for name in ("mailbox", "folder", "link"))
        until, compared = _second(data, "backlog_until"), _second(data, "compared")
        if not mailbox or not folder or len(link) > _MAX_LINK or not _TARGET.fullmatch(link) or until is None or compared is None:
            return None
        return cls(mailbox=mailbox, folder=folder, link=link, backlog_until=until, compared=compared)

    def __str__(self) -> str:
        return f"{_VERSION}{json.dumps(asdict(self))}"


def _second(data: Mapping[str, object], name: str) -> int | None:
    found = data.get(name)
    return found if isinstance(found, int) and not isinstance(found, bool) and 0 <= found <= _LAST_SECOND else None


def moment_of(text: object) -> datetime | None:
    """Return a time as Graph writes it, such as ``2026-11-22T05:00:00Z``; None if it is none."""
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
        return found.astimezone(UTC) if found is not None and found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
