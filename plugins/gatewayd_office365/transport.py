"""The transport ``office365`` and its session: Microsoft Graph lists by delta queries, and gives messages as MIME."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gatewayd import Session, Transport
from gatewayd_office365.folders import FolderFinder
from gatewayd_office365.graph import GraphClient
from gatewayd_office365.listing import FolderListing
from gatewayd_office365.options import Office365Options
from gatewayd_office365.pace import pace_of
from gatewayd_office365.problems import problems
from gatewayd_office365.reading import headers, looked_up, mime
from gatewayd_office365.settle import settle
from gatewayd_office365.summaries import summaries

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd import Action, Fetched, Listed, Page, Spool, Summary

__all__ = ["Office365", "Office365Session"]

#: Where Exchange Online is reached by IMAP and POP3: the same mailboxes.
_SAME = {"graph.microsoft.com": "outlook.office365.com"}
#: How many keys of new mail a session remembers.
_NEWS = 10_000


class Office365(Transport):
    """Reads mail from a mailbox of Exchange Online by Microsoft Graph."""

    kind = "office365"
    keys_span_folders = True
    Options = Office365Options  # type: ignore[assignment]  # mypy takes the base's nested class for the only one that fits
    options: Office365Options

    def mailbox(self) -> str:
        """See ``Transport``."""
        host = urlsplit(self.options.graph).hostname or ""
        return f"{self.options.mailbox.casefold()} at {_SAME.get(host, host)}"

    def group(self) -> str:
        """See ``Transport``: Microsoft counts the requests of an app."""
        return f"{self.options.app} at {self.options.graph}"

    def group_limit(self) -> int | None:
        """See ``Transport``: as many visits as requests may be in flight. A visit has more than one only where none waits for it.

        While Microsoft asks the app to wait it is 0, so that its accounts wait without a thread.
        """
        return pace_of(self.options.graph, self.options.app).bound

    def open(self) -> Office365Session:
        """See ``Transport``. Asks for an access token, unless there is one: a poll of a folder is one request."""
        graph = GraphClient(self.options)
        graph.token()
        graph.identify()
        return Office365Session(self.options, graph)


class Office365Session(Session):
    """A mailbox that there is an access token for. Connections are kept for all sessions together."""

    def __init__(self, options: Office365Options, graph: GraphClient) -> None:
        self._options = options
        self._graph = graph
        self._finder = FolderFinder(graph)
        #: Keys that were listed as new: they go before backlog.
        self._new: set[str] = set()

    @property
    def came(self) -> int:
        """See ``Session``."""
        return self._graph.came

    def listing(self, folder: str, cursor: str | None) -> Iterator[Page]:
        """See ``Session``: a delta query."""
        listing = FolderListing(self._graph, self._finder, mailbox=self._options.mailbox, folder=folder)
        for page in listing.pages(cursor):
            if not page.backlog and len(self._new) < _NEWS:
                self._new.update(one.key for one in page.keys)
            yield page

    def compare(self, folder: str, cursor: str | None) -> Iterator[Page]:
        """See ``Session``: a list of messages, which leaves nothing in the mailbox, as each new delta query does."""
        return FolderListing(self._graph, self._finder, mailbox=self._options.mailbox, folder=folder).compared(cursor)

    def look_up(self, folder: str, keys: Sequence[str]) -> Iterator[Listed]:
        """See ``Session``: by their ids, or by a list of the folder."""
        return looked_up(self._graph, self._finder.id_of(folder), keys)

    def headers(self, folder: str, keys: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """See ``Session``: the head of ``$value``."""
        del folder
        return headers(self._graph, keys)

    def summaries(self, folder: str, keys: Sequence[str]) -> Iterator[Summary]:
        """See ``Session``: by `$select`, from a list of the folder, or by their ids."""
        return summaries(self._graph, self._finder.id_of(folder), keys)

    def fetch(self, folder: str, listed: Sequence[Listed], spool: Spool) -> Iterator[Fetched]:
        """See ``Session``: ``$value`` of each, several in flight. A message keeps its id in whatever folder it is by now."""
        del folder
        return mime(self._graph, listed, spool, urgent=any(one.key in self._new for one in listed))

    def settle(self, folder: str, keys: Sequence[str], action: Action) -> None:
        """See ``Session``: PATCH, move or DELETE of each, several in flight."""
        del folder
        settle(self._graph, self._finder, keys, action)

    def problems(self, folders: Sequence[str], action: Action | None) -> list[str]:
        """See ``Session``."""
        return problems(self._graph, self._finder, folders, action)

    def abort(self) -> None:
        """See ``Session``."""
        self._graph.abort()

    def close(self) -> None:
        """See ``Session``. There is nothing to log out of."""
