"""Read a mailbox of a test server by imaplib, as it looks from outside, without changing it."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import imaplib

__all__ = ["Snapshot", "modified_utf7", "read_raw", "read_snapshot"]

_UTF7_RUN = re.compile(r"[^\x20-\x7e]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a mailbox looks like from outside. Two equal snapshots: nothing was changed in between."""

    uidvalidity: int
    highestmodseq: int
    #: UID, flags (sorted) and RFC822.SIZE of each message, by UID.
    messages: tuple[tuple[int, tuple[str, ...], int], ...]

    @property
    def uids(self) -> tuple[int, ...]:
        """The UIDs, ascending."""
        return tuple(uid for uid, _flags, _size in self.messages)


def read_snapshot(imap: imaplib.IMAP4, folder: str) -> Snapshot:
    """Read a folder's numbers, flags and sizes."""
    # Asking for HIGHESTMODSEQ turns mod-sequences on (RFC 7162 section 3.1), which an EXAMINE alone does not.
    status = imap.status(_quoted(folder), "(UIDVALIDITY HIGHESTMODSEQ)")[1][0] or b""
    _examine(imap, folder)
    answers = imap.uid("FETCH", "1:*", "(UID FLAGS RFC822.SIZE)")[1]
    messages = []
    for answer in filter(None, answers):
        flags = re.search(rb"FLAGS \(([^)]*)\)", answer)
        assert flags, answer  # noqa: S101  a test's helper
        messages.append((_number("UID", answer), tuple(sorted(flags[1].decode().split())), _number("RFC822.SIZE", answer)))
    uidvalidity, modseq = (_number(name, status) for name in ("UIDVALIDITY", "HIGHESTMODSEQ"))
    return Snapshot(uidvalidity=uidvalidity, highestmodseq=modseq, messages=tuple(sorted(messages)))


def read_raw(imap: imaplib.IMAP4, folder: str) -> dict[int, bytes]:
    """Return the bytes of every message of a folder, by UID."""
    _examine(imap, folder)
    answers = imap.uid("FETCH", "1:*", "(UID BODY.PEEK[])")[1]
    return {_number("UID", answer[0]): answer[1] for answer in answers if isinstance(answer, tuple)}


def modified_utf7(name: str) -> str:
    """Return a folder's name as IMAP4rev1 writes it (RFC 3501 section 5.1.3)."""

    def encoded(run: re.Match[str]) -> str:
        text = base64.b64encode(run[0].encode("utf-16-be")).decode().rstrip("=").replace("/", ",")
        return f"&{text}-"

    return _UTF7_RUN.sub(encoded, name.replace("&", "&-"))


def _quoted(folder: str) -> str:
    escaped = modified_utf7(folder).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _examine(imap: imaplib.IMAP4, folder: str) -> None:
    if imap.select(_quoted(folder), readonly=True)[0] != "OK":
        raise RuntimeError(f"there is no folder {folder!r}")


def _number(name: str, answer: bytes) -> int:
    found = re.search(rb"\b%b (\d+)" % name.encode(), answer)
    if found is None:
        raise RuntimeError(f"no {name} in {answer!r}")
    return int(found[1])
