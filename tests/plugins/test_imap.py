"""The transport ``imap`` against a real Dovecot."""

from __future__ import annotations

import itertools
from contextlib import closing
from typing import TYPE_CHECKING, ClassVar

import pytest
from pydantic import ValidationError

from gatewayd import Action, Secret
from gatewayd.testing.contract_transport import Site, TransportContract
from gatewayd_imap import gatewayd_transports
from gatewayd_imap.transport import Imap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd.testing.servers import Dovecot

PORTS = {"tls": "imaps", "starttls": "imap", "none": "imap"}
COUNT = itertools.count()


class DovecotSite(Site):
    """A new user of a Dovecot."""

    def __init__(self, dovecot: Dovecot, security: str = "none", *, user: str | None = None) -> None:
        self.dovecot = dovecot
        self.user = user or f"imap{next(COUNT)}"
        dovecot.user(self.user, "correct horse")
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
            "timeout": "20s",
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


class _ImapContract(TransportContract):
    security: ClassVar[str]
    actions: ClassVar[Sequence[Action]] = (Action(do="seen"), Action(do="move", folder="Imported"), Action(do="delete"))

    @pytest.fixture
    def site(self, dovecot: Dovecot) -> DovecotSite:
        site = DovecotSite(dovecot, self.security)
        dovecot.deliver(site.user, (), "Imported")
        return site


class TestImapOverTls(_ImapContract):
    security = "tls"


class TestImapWithStarttls(_ImapContract):
    security = "starttls"


class TestImapInPlainText(_ImapContract):
    security = "none"
