"""Calls that mark and link mail: who may have it done, and what the activity log says of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from gatewayd import Query, Viewer
from gatewayd.access.log_in import Authenticator
from gatewayd.access.passwords import Passwords
from gatewayd.access.tokens import digest_of, new_token
from gatewayd.rpc import calls
from gatewayd.rpc.answering import Answering
from gatewayd.rpc.tools import Tools
from gatewayd.testing import FakeTransport, make_record
from gatewayd.testing.contracts.custodian import make_raw
from tests.unit.access.people import CHEAP, house
from tests.unit.kernel import Gateway, directory, spec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ACME = Viewer(operator="acme")
NORD, SUD = make_record("customer", "C1", "Nord GmbH"), make_record("customer", "C2", "Süd AG")


class People:
    """Two mails of one operator, and people who call."""

    def __init__(self, gateway: Gateway, folder: Path) -> None:
        self.store, self.config = gateway.store, house(folder)
        self.store.keep_users({name: tuple(one.users) for name, one in self.config.operators.items()})
        self.answering = Answering()
        self.answering.tools = Tools(
            config=self.config,
            store=self.store,
            desk=gateway.desk,
            authenticator=Authenticator(self.store, passwords=Passwords(**CHEAP)),
        )
        self.mails = sorted(one.id for one in self.store.filings(ACME, Query()))

    def token(self, operator: str, user: str) -> str:
        token = new_token()
        who = self.store.know_user(operator, user).id
        self.store.add_web_session(who, digest_of(token) or b"", address="192.0.2.1", agent="", idle=999.0, longest=9999.0)
        return token

    def ask(self, call: calls.Call) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.answering.answer(call.model_dump_json().encode()))
        return found

    def deeds(self) -> list[tuple[str, str, int | None, str]]:
        return [(one.who, one.what, one.mail_id, one.detail) for one in reversed(self.store.activities("acme"))]


@pytest.fixture
def people(tmp_path: Path) -> Iterator[People]:
    transport = FakeTransport(account="main")
    for number in (1, 2):
        transport.deliver(make_raw(number))
    with Gateway(tmp_path, transport, plugins=[directory([NORD, SUD])], specs=[spec("acme", known=True)]) as gateway:
        gateway.good()
        yield People(gateway, tmp_path)


def test_who_linked_and_unlinked_is_in_the_activity_log(people: People) -> None:
    token, (first, second) = people.token("acme", "irina"), people.mails
    link = calls.LinkMail(token=token, mail_ids=(first, second), kind="customer", ids=("C1", "C2"))
    assert people.ask(link) == {"changed": 4}
    assert people.ask(link) == {"changed": 0}
    assert people.ask(calls.UnlinkMail(token=token, mail_id=first, kind="customer", ids=("C2",))) == {"changed": 1}
    assert people.ask(calls.UnlinkMail(token=token, mail_id=first, kind="customer", ids=("C2",))) == {"changed": 0}
    assert people.deeds() == [
        ("irina", "linked", first, "customer C1, C2"),
        ("irina", "linked", second, "customer C1, C2"),
        ("irina", "unlinked", first, "customer C2"),
    ]
    (link_view,) = people.store.filings(ACME, Query(ids=(first,)))[0].links
    assert (link_view.id, link_view.by) == ("C1", "person:irina")


def test_what_was_linked_before_a_fault_is_in_the_log(people: People) -> None:
    token, (first, _) = people.token("acme", "irina"), people.mails
    call = calls.LinkMail(token=token, mail_ids=(first, 99), kind="customer", ids=("C1",))
    assert people.ask(call)["error"] == "permanent"
    assert people.deeds() == [("irina", "linked", first, "customer C1")]


def test_P6_readers_strangers_and_other_operators_change_nothing(people: People) -> None:
    first = people.mails[0]
    for token, error in (
        (people.token("acme", "tom"), "permanent"),
        (people.token("globetrot", "irina"), "permanent"),
        (new_token(), "auth"),
    ):
        assert people.ask(calls.LinkMail(token=token, mail_ids=(first,), kind="customer", ids=("C1",)))["error"] == error
        assert people.ask(calls.UnlinkMail(token=token, mail_id=first, kind="customer", ids=("C1",)))["error"] == error
    assert people.deeds() == []
    assert people.store.filings(ACME, Query(ids=(first,)))[0].links == ()
