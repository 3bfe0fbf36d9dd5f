"""What would keep an account from working, for ``check --online``. Reads only."""

from __future__ import annotations

from contextlib import suppress
from difflib import get_close_matches
from typing import TYPE_CHECKING

from gatewayd import PermanentError
from gatewayd_imap.connect import capabilities
from gatewayd_imap.faults import errors
from gatewayd_imap.settle import lacking

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd import Action
    from gatewayd_imap.client import MailBox
    from gatewayd_imap.options import ImapOptions

__all__ = ["problems"]

_NAMED = 20


def problems(mailbox: MailBox, options: ImapOptions, folders: Sequence[str], action: Action | None) -> list[str]:
    """See ``Session.problems``."""
    found = [problem for folder in folders if (problem := _missing(mailbox, options, folder, "correct `folders`"))]
    if action is None:
        return found
    with errors(options, "CAPABILITY"):
        offered = capabilities(mailbox)
    if problem := lacking(action, offered):
        found.append(f"{problem}: use `after: keep` or `after: seen`")
    if action.do == "move" and (problem := _missing(mailbox, options, action.folder, "make it there, or correct `after`")):
        found.append(problem)
    return found


def _missing(mailbox: MailBox, options: ImapOptions, folder: str, advice: str) -> str:
    try:
        with errors(options, f"folder {folder!r}", PermanentError):
            mailbox.folder.set(folder, readonly=True)
    except PermanentError:
        names = _names(mailbox, options)
        near = get_close_matches(folder, names, n=3) or sorted(names)
        more = ", …" if len(near) > _NAMED else ""
        return f"there is no folder {folder!r} that can be opened; the server has {', '.join(near[:_NAMED])}{more}: {advice}"
    return ""


def _names(mailbox: MailBox, options: ImapOptions) -> list[str]:
    """Return the names of the folders that hold mail, as people read them."""
    # A name in broken modified UTF-7 makes imap_tools give up on all of them.
    with errors(options, "LIST"), suppress(ValueError):
        return [one.name for one in mailbox.folder.list() if "\\noselect" not in (flag.lower() for flag in one.flags)]
    return []
