"""A mailbox on the stand-in for Microsoft Graph, for the tests of the plugin ``office365``."""

from __future__ import annotations

import hashlib
import itertools
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from gatewayd import Secret
from gatewayd.testing.contracts.transport import Site
from gatewayd_office365.options import Office365Options
from gatewayd_office365.transport import Office365

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gatewayd import Listed
    from gatewayd.testing.graph import EntraApp, Graph, LoggedRequest
    from gatewayd_office365.transport import Office365Session

_numbers = itertools.count()


def secret_file(folder: Path, text: str) -> Secret:
    """Write a secret into a file, the same one for the same secret: accounts that refer to one file share their tokens."""
    path = folder / f"secret-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    path.write_text(text)
    return Secret("file", str(path))


def fields(graph: Graph, app: EntraApp | None = None) -> dict[str, object]:
    """Return the fields of a credential for an app of the stand-in."""
    app = app or graph.app
    return {
        "tenant": app.tenant,
        "client": app.client,
        "secret": secret_file(graph.folder, app.secret),
        "authority": graph.authority,
        "ca_file": str(graph.ca_file),
        "timeout": "60s",
    }


def new_address() -> str:
    """Return an address that no mailbox has yet."""
    return f"box{next(_numbers)}@acme.example"


def options(server: Graph, mailbox: str, app: EntraApp | None = None, /, **changed: object) -> Office365Options:
    """Return the options of an account; ``changed`` replaces fields."""
    return Office365Options.model_validate({**fields(server, app), "graph": server.base, "mailbox": mailbox, **changed})


class GraphSite(Site):
    """A new mailbox of the stand-in, whose folder is the inbox."""

    def __init__(self, graph: Graph, *, language: str = "en") -> None:
        self.graph = graph
        self.mailbox = graph.add_mailbox(new_address(), language=language)
        self.host, self.port = graph.host, graph.port

    def options(self, **changed: object) -> Office365Options:
        """Return the options of an account for the mailbox; ``port`` is that of a proxy before both services."""
        if port := changed.pop("port", None):
            address = f"https://{self.host}:{port}"
            self.graph.tokens.audiences.add(address)
            changed = {"authority": address, "graph": f"{address}/v1.0", **changed}
        return options(self.graph, self.mailbox.id, None, **changed)

    def transport(self, **fields: object) -> Office365:
        return Office365(self.options(**fields), account="reservations")

    def deliver(self, messages: Sequence[bytes]) -> None:
        for each in messages:
            self.mailbox.deliver(each)

    def raw(self) -> Sequence[bytes]:
        return [one.mime for one in self.mailbox.messages()]

    def state(self) -> object:
        folders = [one for one in self.mailbox.folders.values() if one.well_known]
        return [
            (one.id, message.immutable_id, message.version, message.is_read) for one in folders for message in one.messages.values()
        ]

    def remove(self, position: int) -> None:
        self.mailbox.delete(self.mailbox.messages()[position])


@contextmanager
def opened(site: GraphSite, **fields: object) -> Iterator[Office365Session]:
    """Open a session of an account for the mailbox; ``fields`` replace those of its options."""
    with closing(site.transport(**fields).open()) as session:
        yield session


def ids(site: GraphSite, folder: str = "inbox") -> list[str]:
    """Return the ids of what is in a folder of the mailbox."""
    return [one.immutable_id for one in site.mailbox.messages(folder)]


def listed(session: Office365Session, cursor: str | None = None, folder: str = "INBOX") -> list[str]:
    """Return the keys of all that a listing has."""
    return [one.key for one in keys(session, cursor, folder)]


def keys(session: Office365Session, cursor: str | None = None, folder: str = "INBOX") -> list[Listed]:
    """Return all that a listing has."""
    return [one for page in session.listing(folder, cursor) for one in page.keys]


def last_cursor(session: Office365Session, cursor: str | None = None, folder: str = "INBOX") -> str:
    """Return the cursor behind a listing."""
    return list(session.listing(folder, cursor))[-1].cursor


#: Seconds in which an answer is read.
_READ = 0.3


def sent_too_early(graph: Graph) -> list[LoggedRequest]:
    """Return the requests that were sent before a ``Retry-After`` of their mailbox was over, though its answer had come.

    When a request of a mailbox is answered, three others may be on their way; and further ones for a moment, until the answer is read
    behind those that were asked for before it, in whichever session it was.
    """
    requests = sorted((one for one in graph.log.requests if one.mailbox), key=lambda one: one.began)
    found: list[LoggedRequest] = []
    for refused in (one for one in requests if one.retry_after):
        until = refused.ended + refused.retry_after
        early = [one for one in requests if one.mailbox == refused.mailbox and refused.ended < one.began < until]
        found += [one for one in early[3:] if one.began > refused.ended + _READ]
    return found
