"""Mark, move or delete messages on the server: exactly these UIDs. Never a plain EXPUNGE, never CLOSE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imap_tools.utils import encode_folder

from gatewayd import PermanentError, TransientError
from gatewayd_imap.connect import capabilities
from gatewayd_imap.folder_names import in_quotes
from gatewayd_imap.uids import chunks, copied, uid_set

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gatewayd import Action, GatewaydError
    from gatewayd_imap.client import MailBox
    from gatewayd_imap.options import ImapOptions

__all__ = ["lacking", "settle"]

#: How many UIDs a command names: with 11 digits each it stays far below the 8,000 bytes that servers take (RFC 7162 section 4).
_UIDS = 200
#: After so many refusals, and nothing else, all is refused; and so many are borne where something is done. One message that is
#: refused among 200 costs nine.
_ALL, _MOST = 10, 60


def lacking(action: Action, offered: frozenset[str]) -> str:
    """Return why the server can't do ``action``; empty where it can."""
    if action.do == "seen" or "UIDPLUS" in offered or (action.do == "move" and "MOVE" in offered):
        return ""
    needs = "MOVE or UIDPLUS" if action.do == "move" else "UIDPLUS"
    return f"the server offers no {needs}, so `after: {action}` would remove other people's deleted mail as well"


def settle(mailbox: MailBox, options: ImapOptions, uids: Sequence[int], action: Action) -> None:
    """Do ``action`` in the folder that is open for writing. What is no longer there counts as done (RFC 3501 section 6.4.8)."""
    # Of the folder that was just opened: the next step forgets it.
    flags = mailbox.client.response("PERMANENTFLAGS")[1][-1]
    with mailbox.client.step("CAPABILITY"):
        offered = capabilities(mailbox)
    if problem := lacking(action, offered):
        raise PermanentError(f"{options.where}: {problem}", advice="Use `after: keep` or `after: seen`.")
    if action.do == "move" and "MOVE" not in offered and (why_not := _forbidden(mailbox, flags, offered)):
        # Each visit would copy them once more.
        raise PermanentError(
            f"{options.where}: we may not delete in this folder, so its messages can't be moved: {why_not}",
            advice="Have the server give this user the rights `t` and `e` there, or use `after: keep` or `after: seen`.",
        )
    kept: list[int] = []
    why: GatewaydError | None = None
    asked = 0
    for chunk in chunks(uids, _UIDS):
        left, refusal = _act(mailbox, options, chunk, action, offered)
        kept, why, asked = kept + left, why or refusal, asked + len(chunk)
        if why and len(kept) == asked:
            # Nothing was done to any: it is not about one of them.
            raise why
    if why:
        raise PermanentError(f"{why.message}: {len(kept)} of {len(uids)} messages", advice=why.advice)


def _forbidden(mailbox: MailBox, flags: bytes | None, offered: frozenset[str]) -> str:
    """Return why we may not delete in the folder that is open, as far as the server says it (RFC 4314 section 3.5).

    ``flags`` are its PERMANENTFLAGS (RFC 3501 section 7.1).
    """
    if flags is not None and b"\\deleted" not in flags.lower():
        return "its PERMANENTFLAGS lack \\Deleted"
    if "ACL" not in offered:
        return ""
    client = mailbox.client
    with client.step("MYRIGHTS"):
        try:
            # As in ``_do``.
            status, data = client.myrights(encode_folder(mailbox.folder.get() or ""))  # type: ignore[arg-type]
        except client.abort:
            raise
        except client.error:
            return ""
    answer = data[-1] if status == "OK" and data else None
    rights = answer.rpartition(b" ")[2].lower() if isinstance(answer, bytes) else b""
    # RFC 2086 had ``d`` for both.
    return (
        ""
        if not rights or b"d" in rights or set(b"te") <= set(rights)
        else f"our rights are {rights[:40].decode('ascii', 'replace')}"
    )


class _Refused(Exception):
    """The server answered NO or BAD, and listens on."""

    def __init__(self, error: GatewaydError) -> None:
        super().__init__(error.sentences)
        self.error = error


def _act(
    mailbox: MailBox, options: ImapOptions, uids: Sequence[int], action: Action, offered: frozenset[str]
) -> tuple[list[int], GatewaydError | None]:
    """Do it to these; return which are left, and the refusal."""
    if action.do == "seen":
        return _half_by_half(uids, lambda some: _do(mailbox, "STORE", uid_set(some), "+FLAGS.SILENT", "(\\Seen)"))
    if action.do == "move" and "MOVE" in offered:
        return _half_by_half(uids, lambda some: _to(mailbox, "MOVE", uid_set(some), action.folder))
    if action.do == "delete":
        return _half_by_half(uids, lambda some: _delete(mailbox, some))
    gone: list[int] = []
    left, refusal = _half_by_half(uids, lambda some: gone.extend(_copied(mailbox, some, action.folder)))
    undeleted, why = _half_by_half(gone, lambda some: _delete(mailbox, some)) if gone else ([], None)
    _none_left(mailbox, options, set(uids) - set(gone) - set(left), action)
    return left + undeleted, refusal or why


def _half_by_half(uids: Sequence[int], do: Callable[[Sequence[int]], None]) -> tuple[list[int], GatewaydError | None]:
    """Do it to all that the server does it to: one message that it refuses keeps no other from it. Return the others, and why."""
    parts, done = [list(uids)], set[int]()
    refusals: list[GatewaydError] = []
    while parts:
        some = parts.pop()
        try:
            do(some)
        except _Refused as refused:
            refusals.append(refused.error)
            if len(refusals) >= (_MOST if done else _ALL):
                return [uid for uid in uids if uid not in done], refusals[0]
            if len(some) > 1:
                parts += [some[len(some) // 2 :], some[: len(some) // 2]]
        else:
            done.update(some)
    return [uid for uid in uids if uid not in done], refusals[0] if refusals else None


def _delete(mailbox: MailBox, uids: Sequence[int]) -> None:
    _do(mailbox, "STORE", uid_set(uids), "+FLAGS.SILENT", "(\\Deleted)")
    _do(mailbox, "EXPUNGE", uid_set(uids))


def _copied(mailbox: MailBox, uids: Sequence[int], folder: str) -> Sequence[int]:
    """Copy these, and return which were: all, unless COPYUID names only some of them (RFC 4315 section 3)."""
    _to(mailbox, "COPY", uid_set(uids), folder)
    named = copied(mailbox.client.response("COPYUID")[1][-1], uids)
    return uids if named is None else named


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
    except _Refused as refused:
        if not isinstance(refused.error, PermanentError):
            raise
        advice = f"Make the folder {in_quotes(folder)} on the server, or correct `after`."
        raise _Refused(PermanentError(f"{refused.error.message}: can't move to {in_quotes(folder)}", advice=advice)) from None


def _do(mailbox: MailBox, command: str, *arguments: str | bytes) -> None:
    what, client = f"UID {command}", mailbox.client
    with client.step(what, PermanentError):
        try:
            # imaplib takes bytes as they are, which its type stubs do not know.
            status, data = client.uid(command, *arguments)  # type: ignore[arg-type]
        except client.abort:
            raise
        except client.error as error:
            raise _Refused(client.refused(error.args, what, PermanentError)) from None
    if status != "OK":
        raise _Refused(client.refused(data, what, PermanentError if command in ("MOVE", "COPY") else TransientError))
