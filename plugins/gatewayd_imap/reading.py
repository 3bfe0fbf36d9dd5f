"""Open folders read-only, and ask which messages are in them."""

from __future__ import annotations

import time
from array import array
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewayd import Listed, PermanentError, TransientError
from gatewayd_imap.answers import arrival, named, number
from gatewayd_imap.folder_names import in_quotes
from gatewayd_imap.uids import MAX_UID, chunks, gmail_id, key, uid_of, uid_set

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from gatewayd_imap.answers import Fields
    from gatewayd_imap.client import MailBox
    from gatewayd_imap.options import ImapOptions

__all__ = ["FolderReader", "OpenedFolder", "listed_as"]

_ITEMS, _GMAIL_ITEMS = "(UID RFC822.SIZE INTERNALDATE)", "(UID RFC822.SIZE INTERNALDATE X-GM-MSGID)"
#: How many messages one command asks for: of sizes and arrivals, and of anything by a set of UIDs.
_SIZES, _SET = 1_000, 200
#: After so many refusals it is not the messages that are refused.
_REFUSED = 10
#: How many messages a SEARCH may name; with 11 bytes each they fill two thirds of ``_FOUND``.
_NAMED = 60_000
_FOUND = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedFolder:
    """What the server said of a folder when it was opened."""

    folder: str
    uidvalidity: int
    #: How many messages there are, and the UID that the next message will have; None where the server does not say.
    exists: int | None
    uidnext: int | None


class FolderReader:
    """Opens folders read-only, at most one at a time, and asks which messages are in them."""

    def __init__(self, options: ImapOptions, mailbox: MailBox) -> None:
        self.options = options
        self.mailbox = mailbox
        self.client = mailbox.client
        self._opened: OpenedFolder | None = None
        # Gmail says so before the log-in (developers.google.com/workspace/gmail/imap/imap-extensions).
        self._items = _GMAIL_ITEMS if "X-GM-EXT-1" in self.client.capabilities else _ITEMS

    def open(self, folder: str, *, writable: bool = False) -> OpenedFolder:
        """Open the folder anew, so that its numbers and what is in it are of now. One for writing is open for no reader."""
        self._opened = None
        with _advised(), self.client.step(f"folder {in_quotes(folder)} can't be opened", PermanentError):
            exists = number(self.mailbox.folder.set(folder, readonly=not writable)[1][-1])
            uidvalidity, uidnext = (number(self.client.response(name)[1][-1]) for name in ("UIDVALIDITY", "UIDNEXT"))
        if not uidvalidity or uidvalidity > MAX_UID:
            where = f"{self.options.where}: folder {in_quotes(folder)}"
            raise PermanentError(f"{where}: the server numbers its messages anew in each session (no UIDVALIDITY)")
        uidnext = uidnext if uidnext and uidnext <= MAX_UID else None
        opened = OpenedFolder(folder=folder, uidvalidity=uidvalidity, exists=exists, uidnext=uidnext)
        if not writable:
            self._opened = opened
        return opened

    def reopen(self, folder: str) -> OpenedFolder:
        """Return the folder as it is open, or open it."""
        return self._opened if self._opened and self._opened.folder == folder else self.open(folder)

    def forget(self) -> None:
        """Another folder was opened."""
        self._opened = None

    def expect(self, opened: OpenedFolder) -> None:
        """Be in that folder, under those numbers: between two steps of a listing others may have been opened."""
        if self.reopen(opened.folder).uidvalidity != opened.uidvalidity:
            raise TransientError(f"{self.options.where}: folder {in_quotes(opened.folder)} was renumbered meanwhile")

    def bounded(self, opened: OpenedFolder, count: int) -> None:
        """Raise PermanentError where a folder has more messages than it may."""
        most = self.options.max_messages
        if count > most:
            text = f"folder {in_quotes(opened.folder)} has {count} messages, and `max_messages` is {most}"
            raise PermanentError(f"{self.options.where}: {text}", advice="Raise `max_messages`, or move old mail to other folders.")

    # --- which messages there are -----------------------------------------------------------------------------------

    def search(self, uids: str, first: int = 1, *, most: int = _NAMED) -> tuple[list[int], frozenset[int]]:
        """Return which UIDs of the set, from ``first`` on, there are, ascending; and some that the answer names beside them.

        The set has at most ``most``; there are servers that name others, too.
        """
        with self.client.step("UID SEARCH", answer=_FOUND + (1 << 16), line=_FOUND):
            status, lines = self.client.uid("SEARCH", f"UID {uids}")
            # To read a number costs a tenth of a word.
            self.client.spare.read((sum(line.count(b" ") for line in lines if isinstance(line, bytes)) - most) // 10)
            if self.client.spare.is_spent:
                raise self.client.abort(f"more numbers beyond the {most} that were asked for than may come in a visit")
            found, others = named(lines, first, MAX_UID) if status == "OK" else (frozenset[int](), frozenset[int]())
        if status != "OK":
            raise self.client.refused(lines, "UID SEARCH")
        return sorted(found), others

    def behind(self, opened: OpenedFolder, first: int) -> tuple[list[int], bool]:
        """Return all UIDs from ``first`` on, ascending, as SEARCH names them; and whether that is all and can be believed."""
        exists, uidnext = opened.exists, opened.uidnext
        if exists is not None and exists > _NAMED and uidnext is None:
            uidnext = (self.highest(opened) or 0) + 1
        if min(exists or MAX_UID, max(0, (uidnext or MAX_UID) - first)) > _NAMED and (exists or uidnext):
            # Too much for one answer.
            return [], False
        found, others = self.search(f"{first}:*", first)
        if not found and exists:
            # `n:*` always has the last message in it, also one below n (RFC 3501 section 6.4.8).
            return [], len(others) == 1 and others == {self.highest(opened)}
        return found, not others and (first > 1 or exists in (None, len(found)))

    def highest(self, opened: OpenedFolder) -> int | None:
        """Return the UID of the last message; None where there is none, or the server does not answer for it."""
        self.expect(opened)
        answers = self.client.uid_fetch("*", "(UID)", messages=1)
        answers.go_on()
        return max(answers.messages, default=None)

    def by_number(self, opened: OpenedFolder, first: int) -> list[int]:
        """Return the UIDs from ``first`` on, ascending, of all messages that EXISTS counts, asked for by their numbers."""
        found = array("L")
        exists = opened.exists or 0
        for low in range(1, exists + 1, _SIZES):
            self.expect(opened)
            answers = self.client.uid_fetch(f"{low}:{min(low + _SIZES - 1, exists)}", "(UID)", messages=_SIZES, by_number=True)
            answers.go_on()
            found.extend(uid for uid in answers.messages if first <= uid <= MAX_UID)
        return sorted(set(found))

    def sizes(self, opened: OpenedFolder, uids: Sequence[int]) -> tuple[tuple[Listed, ...], bool]:
        """Return these UIDs with sizes and arrivals, and whether the server answered for just these, or refused to answer.

        Also those that only one of two answers names: whatever the server says it has is taken, if need be without a size. If
        it is gone, that comes out when it is fetched.
        """
        self.expect(opened)
        answers = self.client.uid_fetch(f"{uids[0]}:{uids[-1]}", self._items, messages=_SIZES)
        answers.go_on()
        answered = {uid for uid in answers.messages if uids[0] <= uid <= uids[-1]}
        found = tuple(listed_as(opened, uid, answers.messages.get(uid, {})) for uid in sorted(answered | set(uids)))
        return found, answered == set(uids) or answers.refusal is not None

    def look_up(self, folder: str, keys: Sequence[str]) -> Iterator[Listed]:
        """Yield those of the keys that are there now; without a size where only SEARCH has them."""
        opened = self.open(folder)
        uids = sorted(uid for text in keys if (uid := uid_of(text, opened.uidvalidity)))
        if len(uids) < len(keys):
            # They are there under other keys: to leave them out would say that they are gone, and what is gone counts as settled.
            raise TransientError(f"{self.options.where}: folder {in_quotes(folder)} was renumbered since it was listed")
        for batch in chunks(uids, _SET):
            self.expect(opened)
            answers = self.client.uid_fetch(uid_set(batch), self._items, messages=len(batch))
            answers.go_on()
            rest = [uid for uid in batch if uid not in answers.messages]
            left = self.there(opened, rest)
            there = {uid: answers.messages.get(uid, {}) for uid in batch if uid not in rest}
            there |= self._one_by_one(opened, rest, left) if answers.refusal else {uid: {} for uid in left}
            yield from (listed_as(opened, uid, there[uid]) for uid in sorted(there))

    def _one_by_one(self, opened: OpenedFolder, uids: Sequence[int], named: Collection[int]) -> dict[int, Fields]:
        """Return what is said of each of these that may be there: one that is refused keeps nothing from being said of the others.

        Gone is what SEARCH has not ``named``, and FETCH does not know, or refuses for good: Yahoo does, with NONEXISTENT.
        """
        found: dict[int, Fields] = {uid: {} for uid in named}
        until, refused = time.monotonic() + self.options.timeout, 0
        for uid in uids:
            if time.monotonic() > until or refused >= _REFUSED:
                found.setdefault(uid, {})
                continue
            self.expect(opened)
            answers = self.client.uid_fetch(str(uid), self._items, messages=1)
            answers.go_on()
            unsaid = answers.refusal is not None and not isinstance(answers.refusal, PermanentError)
            refused += unsaid
            if unsaid or uid in answers.messages:
                found[uid] = answers.messages.get(uid, {})
        return found

    def there(self, opened: OpenedFolder, uids: Collection[int]) -> frozenset[int]:
        """Return which of these UIDs there are, by SEARCH or by FETCH: what is gone is unknown to both."""
        if not uids:
            return frozenset()
        self.expect(opened)
        found, _ = self.search(uid_set(uids), most=len(uids))
        rest = set(uids) - set(found)
        if rest:
            answers = self.client.uid_fetch(uid_set(rest), "(UID)", messages=len(rest))
            answers.go_on()
            found += rest & answers.messages.keys()
        return frozenset(uids) & frozenset(found)


def listed_as(opened: OpenedFolder, uid: int, fields: Mapping[str, bytes]) -> Listed:
    """Return a message as FETCH says that it is."""
    size, arrived = number(fields.get("RFC822.SIZE")), arrival(fields.get("INTERNALDATE"))
    return Listed(key(opened.uidvalidity, uid), size, arrived, spanning_id=gmail_id(fields.get("X-GM-MSGID")))


@contextmanager
def _advised() -> Iterator[None]:
    """Say what to do about a folder that the server does not open."""
    try:
        yield
    except PermanentError as error:
        error.advice = error.advice or "`gatewayd check --online` lists the server's folders: correct `folders`."
        raise
