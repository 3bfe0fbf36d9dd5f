"""An operator's desk with its accounts, as tests write at it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Never

import pytest

from gatewayd import (
    AuthError,
    Credential,
    DeliveryQuery,
    DeliveryView,
    FilingView,
    PermanentError,
    TokenSource,
    TokenUse,
    Transport,
    Viewer,
)
from gatewayd.api.endpoint import Endpoint
from gatewayd.api.options import Secret
from gatewayd.config import AccountConfig, OperatorConfig, SendConfig, UserConfig
from gatewayd.desk import NewMail, PreparedMail, Writer
from gatewayd.message.message_ids import Signer
from gatewayd.testing import make_record
from gatewayd.testing.contracts.custodian import Custodian, make_filing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewayd.desk import SentMail
    from tests.unit.kernel import Gateway


ACME, IRINA = Viewer(operator="acme"), Viewer(operator="acme", users=("irina",))

NORD = make_record("customer", "C1", "Nord GmbH")

WHERE = {name: f"accounts/acme-out.yaml:{line}" for line, name in enumerate(["from", "match", "cc", "bcc", "docx", "max_bytes"], 7)}

SENDS = SendConfig.model_validate({"from": {"name": "Acme Tours", "address": "desk@acme.example"}, "system": True})

NEW_MAIL = NewMail(to=("Anna <anna@nord.example>",), subject="Rome", text="Dear Anna\n")


class Login(Transport.Options, Endpoint):
    """What an account that imports logs in with."""


class Seal(Credential):
    """What a ``Mailbox`` is opened by."""

    kind = "seal"

    def obtain(self, user: str, resource: str) -> Never:
        raise AuthError(f"no token for {user} and {resource}")


class Mailbox(Transport.Options):
    """What an account that imports gives in place of a server and a log-in, as those of Office 365."""

    mailbox: str

    @property
    def token_use(self) -> TokenUse:
        return TokenUse(TokenSource(Seal(Seal.Options())), self.mailbox)


def login(username: str) -> Login:
    return Login.model_construct(host="localhost", username=username, password=Secret(by="env", name="X"))


ACCOUNTS = {
    one.name: one
    for one in (
        AccountConfig(
            name="acme-out", kind="smtp", operators=("acme",), options=Transport.Options(), sends=SENDS, sends_lines=WHERE
        ),
        AccountConfig(name="main", kind="imap", operators=("acme",), options=login("Reservations@acme.example")),
        AccountConfig(name="irina", kind="imap", operators=("acme",), user="irina", options=login("irina")),
        AccountConfig(
            name="other-out",
            kind="smtp",
            operators=("globetrot",),
            options=Transport.Options(),
            sends=SendConfig.model_validate({"from": {"address": "otto@nord.example"}, "system": True}),
            sends_lines=WHERE,
        ),
    )
}

OPERATORS = {"acme": OperatorConfig(name="acme", users={"irina": UserConfig(name="Mari, Irina", email="irina@acme.example")})}

MAIL = (
    b"Message-ID: <2@nord.example>\r\nReferences: <1@nord.example>\r\nDate: Mon, 05 Jan 2026 10:00:00 +0100\r\n"
    b"From: =?utf-8?q?M=C3=BCller=2C_Anna?= <anna@nord.example>\r\n"
    b"To: reservations@acme.example, Otto <otto@nord.example>, irina@acme.example, desk@ACME.example\r\n"
    b"Cc: cc@nord.example, anna@nord.example, m\xc3\xbcller@nord.example, junk\r\nSubject: RE: AW: Rome\r\n\r\nWhen?\r\n"
)


class World:
    """A desk over a real store, with accounts that a test may change."""

    def __init__(self, gateway: Gateway) -> None:
        self.desk, self.store = gateway.desk, gateway.store
        self.signer = Signer(b"k" * 32)
        self.accounts, self.operators = dict(ACCOUNTS), dict(OPERATORS)
        self.main = Custodian.of(gateway.store, "main")

    @property
    def writer(self) -> Writer:
        return Writer(desk=self.desk, signer=self.signer, operators=self.operators, accounts=self.accounts)

    def allow(self, lines: Mapping[str, str] = WHERE, **changed: Any) -> None:
        account = self.accounts["acme-out"]
        self.accounts["acme-out"] = replace(account, sends=SENDS.model_copy(update=changed), sends_lines=lines)

    def file(self, raw: bytes = MAIL, key: str = "1", owner: str | None = None) -> int:
        return self.main.file(key, raw, make_filing("acme", user=owner, links=[NORD]))

    def prepared(self, **changed: Any) -> PreparedMail:
        return self.writer.new_mail(ACME, replace(NEW_MAIL, **changed), who="anna")

    def send(self, **changed: Any) -> SentMail:
        return self.desk.send(self.prepared(**changed))

    def refusal(self, **changed: Any) -> PermanentError:
        before = self.deliveries()
        with pytest.raises(PermanentError) as caught:
            self.send(**changed)
        assert self.deliveries() == before
        return caught.value

    def reply(self, mail_id: int, viewer: Viewer = ACME, *, to_all: bool = False, **changed: Any) -> PreparedMail:
        new_mail = NewMail(**{"text": "In May.\n", **changed})
        return self.writer.reply(viewer, mail_id, new_mail, who="anna", to_all=to_all)

    def deliveries(self, viewer: Viewer = IRINA) -> list[DeliveryView]:
        return list(self.store.deliveries(viewer, DeliveryQuery()))

    def filing(self, mail_id: int, viewer: Viewer = ACME) -> FilingView:
        return self.desk.get(viewer, mail_id)
