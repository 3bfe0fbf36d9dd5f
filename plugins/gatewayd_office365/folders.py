"""Find folders by the names in the config: well-known ones in any language, others by their path of names as people see them."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewayd import PermanentError, TransientError
from gatewayd_office365.graph_requests import TOO_LARGE, GraphRequest
from gatewayd_office365.json_objects import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gatewayd_office365.graph import GraphClient

__all__ = ["WELL_KNOWN", "FolderFinder", "MailFolder", "in_quotes"]

#: Names that Graph takes in place of ids ("mailFolder resource type"), whatever the folders are called.
WELL_KNOWN = frozenset(
    {
        "archive",
        "clutter",
        "conversationhistory",
        "deleteditems",
        "drafts",
        "inbox",
        "junkemail",
        "outbox",
        "recoverableitemsdeletions",
        "sentitems",
    }
)
_SELECT = "$select=id,displayName,totalItemCount"
_ON_A_PAGE = 100
#: How many folders may be in one folder, and how deep the folders of a path may lie.
_MOST, _DEPTH = 5_000, 30
#: How many names of folders are told.
_NAMED = 20
_NOT_FOUND = 404


@dataclass(frozen=True, slots=True, kw_only=True)
class MailFolder:
    """A folder as Graph shows it."""

    id: str
    name: str
    #: How many messages it counts; None if it does not say.
    total: int | None

    @classmethod
    def of(cls, data: Mapping[str, object]) -> MailFolder:
        """Return the folder that an answer shows. Raises TransientError if it has no id."""
        total, found = data.get("totalItemCount"), text_of(data, "id")
        if not found:
            raise TransientError("Microsoft Graph shows a folder without an id", advice="Check that `graph` is Microsoft Graph.")
        return cls(id=found, name=text_of(data, "displayName"), total=total if isinstance(total, int) else None)


class FolderFinder:
    """Finds folders of one mailbox, and remembers their ids while a session lasts."""

    def __init__(self, graph: GraphClient) -> None:
        self._graph = graph
        self._ids: dict[str, str] = {}

    def id_of(self, folder: str) -> str:
        """Return the id of a folder; see ``find``."""
        return self._ids.get(folder) or self.find(folder).id

    def learn(self, folder: str, found: str) -> None:
        """Remember the id of a folder."""
        self._ids[folder] = found

    def find(self, folder: str) -> MailFolder:
        """Return a folder as it is now. Raises PermanentError if there is none, AuthError, or TransientError."""
        found = self._found(folder)
        if found is None:
            names = ", ".join(in_quotes(one.name) for one in self._named(_NAMED))
            raise PermanentError(
                f"{self._graph.where}: there is no folder {in_quotes(folder)}; the mailbox has {names or 'none'}",
                advice="Correct `folders` or `after`: INBOX, a well-known name such as sentitems, or a path: Inbox/Bookings.",
            )
        self._ids[folder] = found.id
        return found

    def count(self, found: str) -> int | None:
        """Return how many messages a folder has, by its id; None if it is gone or does not say.

        ``totalItemCount`` also counts items that are no messages, and are never listed.
        """
        target = self._graph.path("mailFolders", found, "messages", query="$select=id&$top=1&$count=true")
        answer = self._graph.request(GraphRequest(what="the count of messages", target=target, back=TOO_LARGE))
        count = answer.data.get("@odata.count") if answer.is_good else None
        return count if isinstance(count, int) and not isinstance(count, bool) else None

    def _found(self, folder: str) -> MailFolder | None:
        first, _, rest = folder.partition("/")
        known = _plain(first).replace(" ", "")
        # In other languages people may make a folder of their own that has an English name, but nobody means that by Inbox.
        found = None if known == "inbox" else self._below("", folder, 0)
        if found is None and known in WELL_KNOWN and (shown := self._shown(known)):
            return self._below(shown.id, rest, 1) if rest else shown
        return found

    def _below(self, parent: str, path: str, depth: int) -> MailFolder | None:
        """Return what a path leads to from a folder; the names themselves may have slashes."""
        if depth > _DEPTH:
            return None
        wanted, begins = _plain(path), list[MailFolder]()
        for one in self._children(parent):
            if _plain(one.name) == wanted:
                return one
            if one.name and wanted.startswith(f"{_plain(one.name)}/"):
                begins.append(one)
        for one in sorted(begins, key=lambda each: -len(each.name)):
            if found := self._below(one.id, wanted[len(_plain(one.name)) + 1 :], depth + 1):
                return found
        return None

    def _named(self, most: int) -> Iterator[MailFolder]:
        for number, one in enumerate(self._children("")):
            if number == most:
                return
            yield one

    def _children(self, parent: str) -> Iterator[MailFolder]:
        """Yield the folders in a folder, or at the top, from all pages."""
        names = ("mailFolders", parent, "childFolders") if parent else ("mailFolders",)
        target, count = self._graph.path(*names, query=f"{_SELECT}&$top={_ON_A_PAGE}"), 0
        while target:
            data = self._graph.request(GraphRequest(what="the list of folders", target=target)).checked().data
            values = data.get("value")
            for one in values if isinstance(values, list) else ():
                yield MailFolder.of(one if isinstance(one, dict) else {})
                count += 1
            link = text_of(data, "@odata.nextLink")
            target = self._graph.link(link) if link and count < _MOST and values else ""

    def _shown(self, name: str) -> MailFolder | None:
        """Return the folder with an id or well-known name; None if there is none."""
        target = self._graph.path("mailFolders", name, query=_SELECT)
        answer = self._graph.request(GraphRequest(what="the folder", target=target))
        # Only a folder that is missing: a mailbox that is missing has another code.
        missing = answer.status == _NOT_FOUND and answer.code in {"erroritemnotfound", "errorfoldernotfound"}
        return None if missing else MailFolder.of(answer.checked().data)


def in_quotes(name: str) -> str:
    """Return a name for messages: printable, and not too long."""
    return repr(name[:255])


def _plain(name: str) -> str:
    """Return a name as Exchange compares names: without regard to case."""
    return unicodedata.normalize("NFC", name).casefold()
