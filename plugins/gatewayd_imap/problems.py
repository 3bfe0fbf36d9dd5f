"""Find what would keep an account from working, for ``check --online``: missing folders and capabilities. Reads only."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from imap_tools.imap_utf7 import utf7_decode, utf7_encode

from gatewayd import PermanentError, repeats
from gatewayd_imap.answers import folders as read_folders
from gatewayd_imap.connect import capabilities
from gatewayd_imap.folder_names import in_quotes, in_yaml
from gatewayd_imap.settle import lacking

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd import Action
    from gatewayd_imap.client import MailBox

__all__ = ["problems"]

#: How many names are shown, how many are looked through, and how long one of them may be.
_NAMED, _MOST, _LONGEST = 20, 2_000, 255
#: The answer to LIST, in bytes.
_LIST = 4 << 20


def problems(mailbox: MailBox, folders: Sequence[str], action: Action | None) -> list[str]:
    """See ``Session.problems``."""
    found = [problem for folder in folders if (problem := _missing(mailbox, folder, "correct `folders`"))]
    if action is None:
        return found
    with mailbox.client.step("CAPABILITY"):
        offered = capabilities(mailbox)
    if problem := lacking(action, offered):
        found.append(f"{problem}: use `after: keep` or `after: seen`")
    if action.do == "move" and (problem := _missing(mailbox, action.folder, "make it there, or correct `after`")):
        found.append(problem)
    return found


def _missing(mailbox: MailBox, folder: str, advice: str) -> str:
    try:
        with mailbox.client.step(f"folder {in_quotes(folder)}", PermanentError):
            mailbox.folder.set(folder, readonly=True)
    except PermanentError:
        there = _there(folder, _names(mailbox), mailbox.client.secrets)
        return f"there is no folder {in_yaml(folder)} that can be opened; {there}: {advice}"
    return ""


def _there(folder: str, names: Sequence[str], secrets: Sequence[str]) -> str:
    """Return which folders there are, and whether these are all."""
    near = get_close_matches(folder, names, n=3)
    shown = [name for name in near or names[:_NAMED] if not any(repeats(name, secret) for secret in secrets)]
    if not shown:
        return "the server names none"
    rest = len(names) - len(shown)
    more = f" (and {rest} more{', which are less alike' if near else ''})" if rest else ""
    return f"the server has {', '.join(in_yaml(name) for name in shown)}{more}"


def _names(mailbox: MailBox) -> list[str]:
    """Return the names of the folders that hold mail, as people read them."""
    with mailbox.client.step("LIST", answer=_LIST, messages=_MOST):
        _, pieces = mailbox.client.list('""', '"*"')
        found = read_folders([piece for piece in pieces if isinstance(piece, bytes | tuple)])
        names = [folder.name for folder in found if b"\\noselect" not in folder.flags and len(folder.name) <= _LONGEST]
        return sorted({*_readable(names[:_MOST])})


def _readable(names: Sequence[bytes]) -> Iterator[str]:
    """Yield names that can be written in the config: what is read is what would be sent."""
    for name in names:
        try:
            text = utf7_decode(name)
            same = utf7_encode(text) == name
        except ValueError:
            continue
        if same:
            yield text
