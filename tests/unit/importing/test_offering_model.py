"""Whatever people, servers and visits do in whatever order: nobody sees what is not offered to him, and no choice is lost (P1, P6)."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from gatewayd import Action, OfferQuery, Query, Viewer
from gatewayd.config import ImportConfig
from gatewayd.testing import FakeTransport, make_contact, make_record
from gatewayd.testing.contracts.custodian import make_raw
from tests.unit.kernel import Gateway, directory, links_all, matcher, spec

if TYPE_CHECKING:
    from gatewayd import OfferView

_Step: TypeAlias = "tuple[str, str, int]"

OPERATORS = ("acme", "globetrot")
#: Whom both operators know, and whom nobody does.
ANNA, STRANGER = "anna@example.com", "stranger@example.com"
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["visit", "visit", "choose", "choose", "dismiss", "undo", "deliver", "vanish", "fail", "renumber"]),
        st.sampled_from(OPERATORS),
        st.integers(0, 5),
    ),
    max_size=14,
)


class World:
    """One account of two operators, and what each of them chose, by the subjects of mails."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.chosen: set[tuple[str, str]] = set()
        self.count = 0

    def deliver(self, number: int) -> None:
        self.count += 1
        raw = make_raw(self.count, subject=f"No. {self.count}", sender=STRANGER if number % 3 == 0 else ANNA)
        self.gateway.transport.deliver(raw, arrival=datetime(2026, 1, 5, tzinfo=UTC) + timedelta(minutes=self.count))

    def offers(self, operator: str) -> list[OfferView]:
        return list(self.gateway.store.offers(Viewer(operator=operator), OfferQuery(account="main", limit=999)))

    def step(self, step: str, operator: str, number: int) -> None:
        transport, store, viewer = self.gateway.transport, self.gateway.store, Viewer(operator=operator)
        offers, there = self.offers(operator), transport.keys()
        one = offers[number % len(offers)] if offers else None
        key = there[number % len(there)] if there else None
        if step == "visit":
            self.gateway.visit()
        elif step == "deliver":
            self.deliver(number)
        elif step == "renumber":
            transport.renumber()
        elif step == "vanish" and key:
            transport.vanish(key)
        elif step == "fail" and key:
            transport.fail(key, "" if transport.message(key).fails else "busy")
        elif step == "choose" and one:
            store.choose(viewer, "main", [one.id], who=operator)
            self.chosen.add((operator, one.subject))
        elif step in {"dismiss", "undo"} and one:
            store.dismiss(viewer, "main", [one.id], who=operator, undo=step == "undo")

    def subjects(self, operator: str) -> list[str]:
        return [one.subject for one in self.gateway.store.filings(Viewer(operator=operator), Query(limit=999))]

    def check(self) -> None:
        for operator in OPERATORS:
            filed = self.subjects(operator)
            assert len(filed) == len(set(filed)), "once filed"
            assert {(operator, one) for one in filed} <= self.chosen, "nobody gets what it did not choose"
            shown = self.offers(operator)
            assert all(one.sender == ANNA for one in shown), "nobody sees what it does not admit"
            assert all((one.mail_id is not None) == (one.decision == "filed") for one in shown)
            assert all(one.subject in filed for one in shown if one.decision == "filed")
        states = {one.id: one for operator in OPERATORS for one in self.offers(operator)}
        assert all(one.state in {"offered", "dismissed", "waiting", "filed", "duplicate", "vanished"} for one in states.values())

    def settle(self) -> None:
        """Once all can be had, each choice of what is still there is filed, and nothing else is."""
        there = self.gateway.transport.keys()
        for key in there:
            self.gateway.transport.fail(key, "")
        for _ in range(3):
            self.gateway.visit(compare=True)
        for operator in OPERATORS:
            shown = {one.subject: one for one in self.offers(operator)}
            assert not [one for one in shown.values() if one.decision == "chosen"]
            mine = [one for subject, one in shown.items() if (operator, subject) in self.chosen]
            assert all(one.decision == "filed" or one.cause == "busy" for one in mine), "no choice is lost"
        self.check()


@settings(max_examples=15, deadline=None)
@given(steps=STEPS)
def test_P6_no_sequence_of_choices_and_faults_files_for_nobody_or_shows_what_is_not_offered(steps: list[_Step]) -> None:
    known = directory([], [make_contact(make_record("customer", "C1"), ANNA, contact_type="sales")])
    specs = [spec("acme", "calm", known=True), spec("globetrot", "calm", known=True)]
    with tempfile.TemporaryDirectory() as folder:
        imports = ImportConfig(take="chosen", contact_types={"customer": ("sales",)}, after=Action(do="seen"))
        plugins = [known, matcher("calm", links_all)]
        with Gateway(Path(folder), FakeTransport(account="main"), imports=imports, plugins=plugins, specs=specs) as gateway:
            gateway.transport.page_size = 2
            world = World(gateway)
            for number in range(3):
                world.deliver(number)
            gateway.visit()
            for step in steps:
                world.step(*step)
                world.check()
            world.settle()
            asked = {one.subject for operator in OPERATORS for one in world.offers(operator) if one.decision == "filed"}
            assert asked <= {subject for _, subject in world.chosen}
