"""Does to the server what is owed: to these UIDs and to nothing else. Never a plain EXPUNGE, never CLOSE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imap_tools.utils import encode_folder

from gatewayd import PermanentError, TransientError
from gatewayd_imap.connect import capabilities
from gatewayd_imap.names import in_quotes
from gatewayd_imap.numbers import chunks, copied, uid_set

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd import Action
    from gatewayd_imap.client import MailBox
    from gatewayd_imap.options import ImapOptions

__all__ = ["lacking", "settle"]

#: How many UIDs a command names: with 11 digits each it stays far below the 8,000 bytes that servers take (RFC 7162 section 4).
_UIDS = 200


def lacking(action: Action, offered: frozenset[str]) -> str:
    """Return why the server can't do ``action``; empty where it can."""
    if action.do == "seen" or "UIDPLUS" in offered or (action.do == "move" and "MOVE" in offered):
        return ""
    needs = "MOVE or UIDPLUS" if action.do == "move" else "UIDPLUS"
    return f"the server offers no {needs}, so `after: {action}` would remove other people's deleted mail as well"


def settle(mailbox: MailBox, options: ImapOptions, uids: Sequence[int], action: Action) -> None:
    """Do ``action`` in the folder that is open for writing. What is no longer there counts as done (RFC 3501 section 6.4.8)."""
    with mailbox.client.step("CAPABILITY"):
        offered = capabilities(mailbox)
    if problem := lacking(action, offered):
        raise PermanentError(f"{options.where}: {problem}", advice="Use `after: keep` or `after: seen`.")
    for chunk in chunks(uids, _UIDS):
        some = uid_set(chunk)
        if action.do == "seen":
            _do(mailbox, "STORE", some, "+FLAGS.SILENT", "(\\Seen)")
        elif action.do == "move" and "MOVE" in offered:
            _to(mailbox, "MOVE", some, action.folder)
        else:
            gone = _copied(mailbox, chunk, action.folder) if action.do == "move" else chunk
            if gone:
                _do(mailbox, "STORE", uid_set(gone), "+FLAGS.SILENT", "(\\Deleted)")
                _do(mailbox, "EXPUNGE", uid_set(gone))
            _none_left(mailbox, options, set(chunk) - set(gone), action)


def _copied(mailbox: MailBox, uids: Sequence[int], folder: str) -> Sequence[int]:
    """Copy these, and return which were: all, unless COPYUID names only some of them (RFC 4315 section 3)."""
    _to(mailbox, "COPY", uid_set(uids), folder)
    told = copied(mailbox.client.response("COPYUID")[1][-1], uids)
    return uids if told is None else told


def _none_left(mailbox: MailBox, options: ImapOptions, uids: set[int], action: Action) -> None:
    """Raise TransientError where messages are there that were not copied: to delete them would lose them."""
    if not uids:
        return
    answers = mailbox.client.uid_fetch(uid_set(uids), "(UID)", messages=len(uids))
    answers.go_on()
    if left := uids & answers.messages.keys():
        raise TransientError(f"{options.where}: UID COPY: the server says that it did not copy {len(left)} messages: {action}")


def _to(mailbox: MailBox, command: str, uids: str, folder: str) -> None:
    try:
        _do(mailbox, command, uids, encode_folder(folder))
    except PermanentError as error:
        advice = f"Make the folder {in_quotes(folder)} on the server, or correct `after`."
        raise PermanentError(f"{error.message}: can't move to {in_quotes(folder)}", advice=advice) from None


def _do(mailbox: MailBox, command: str, *words: str | bytes) -> None:
    what = f"UID {command}"
    with mailbox.client.step(what, PermanentError):
        # imaplib takes bytes as they are, which its type stubs do not know.
        status, data = mailbox.client.uid(command, *words)  # type: ignore[arg-type]
    if status != "OK":
        raise mailbox.client.refused(data, what, PermanentError if command in ("MOVE", "COPY") else TransientError)
