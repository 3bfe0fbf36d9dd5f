"""A mailbox on a real Dovecot, for the tests of the transport ``imap``."""

from __future__ import annotations

import itertools
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from gatewayd import Secret
from gatewayd.testing.contracts.transport import Site
from gatewayd_imap.transport import Imap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd import Listed
    from gatewayd.testing.servers import Dovecot
    from gatewayd.testing.servers.proxy import FaultProxy
    from gatewayd_imap.transport import ImapSession

PORTS = {"tls": "imaps", "starttls": "imap", "none": "imap"}
COUNT = itertools.count()


class DovecotSite(Site):
    """A new user of a Dovecot."""

    def __init__(self, dovecot: Dovecot, security: str = "none", *, user: str = "", password: str = "correct horse") -> None:
        self.dovecot = dovecot
        self.user = user or f"imap{next(COUNT)}"
        dovecot.user(self.user, password)
        self.host, self.port, self.security = dovecot.host, dovecot.ports[PORTS[security]], security

    def transport(self, **fields: object) -> Imap:
        given = {
            "host": self.host,
            "port": self.port,
            "security": self.security,
            "insecure": self.security == "none",
            "ca_file": str(self.dovecot.ca_file),
            "username": self.user,
            "password": Secret("file", str(self.dovecot.password_file(self.user))),
            "timeout": "120s",
        }
        return Imap(Imap.Options.model_validate({**given, **fields}), account="reservations")

    def deliver(self, messages: Sequence[bytes]) -> None:
        self.dovecot.deliver(self.user, messages, self.folder)

    def raw(self) -> Sequence[bytes]:
        return [raw for _, raw in sorted(self.dovecot.raw(self.user, self.folder).items())]

    def state(self) -> object:
        return self.dovecot.snapshot(self.user, self.folder)

    def remove(self, position: int) -> None:
        uid = self.dovecot.snapshot(self.user, self.folder).uids[position]
        with self.dovecot.client(self.user) as imap:
            imap.select(self.folder)
            imap.uid("STORE", str(uid), "+FLAGS", "(\\Deleted)")
            imap.expunge()


#: A name that needs modified UTF-7, an escaped & and the separator.
FOLDER = "Entwürfe & Co/日本"


@contextmanager
def behind(proxy: FaultProxy, site: DovecotSite, **fields: object) -> Iterator[ImapSession]:
    with proxy, closing(site.transport(port=proxy.port, **fields).open()) as session:
        yield session


def keys(session: ImapSession, folder: str = "INBOX", cursor: str | None = None) -> list[Listed]:
    return [one for page in session.listing(folder, cursor) for one in page.keys]
