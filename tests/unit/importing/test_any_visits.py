"""Visits in any order of mail, loss, renumbering and failure: P1, P2 and P3 hold after each of them."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from gatewayd import Action, TransientError
from gatewayd.config import ImportConfig
from gatewayd.testing import FakeTransport, make_contact, make_record
from gatewayd.testing.contracts.custodian import make_raw
from tests.unit.kernel import Gateway, directory, links_all, matcher, spec

if TYPE_CHECKING:
    from gatewayd.importing.values import VisitReport
    from gatewayd.testing.fakes.transport import Asked

STEPS = ("open", "listing", "page", "headers", "fetch", "message", "settle", "close")
SALES = make_contact(make_record("customer", "C1"), "anna@example.com", contact_type="sales")


class Watched(FakeTransport):
    """A transport that lets a store be looked into whenever the server is about to be changed."""

    gateway: Gateway

    def ask(self, asked: Asked) -> None:
        if asked.step == "settle":
            states = {key: was.state for key, was in self.gateway.store.known("main", asked.folder, asked.keys).items()}
            assert len(states) == len(asked.keys)
            assert set(states.values()) <= {"filed", "duplicate"}, f"P3: settled before it was filed: {states}"
        super().ask(asked)


class Visits(RuleBasedStateMachine):
    """Mail comes and goes, servers renumber, connections break; the same message is never filed twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        #: Message-ID to who sent it: a customer's is filed, a stranger's is not admitted.
        self.sent: dict[str, str] = {}
        self.vanished: set[str] = set()
        #: Keys that a broken visit listed and could not enter, before they were replaced by others.
        self.replaced: set[tuple[str, str]] = set()
        self.others: set[str] = set()

    @initialize(
        has_cursor=st.booleans(),
        page_size=st.integers(1, 4),
        after=st.sampled_from([None, Action(do="seen"), Action(do="delete")]),
    )
    def begin(self, *, has_cursor: bool, page_size: int, after: Action | None) -> None:
        folder = Path(self.stack.enter_context(TemporaryDirectory()))
        self.transport = Watched(has_cursor=has_cursor, page_size=page_size)
        self.gateway = Gateway(
            folder,
            self.transport,
            imports=ImportConfig(after=after, contact_types={"customer": ("sales",)}),
            plugins=[directory([], [SALES]), matcher("calm", links_all)],
            specs=[spec("acme", "calm", known=True)],
        )
        self.stack.callback(self.gateway.close)
        self.transport.gateway = self.gateway

    @rule(stranger=st.booleans())
    def deliver(self, *, stranger: bool) -> None:
        number = len(self.sent) + 1
        sender = "stranger@example.com" if stranger else "anna@example.com"
        self.sent[f"<{number}@example.com>"] = sender
        self.transport.deliver(make_raw(number, sender=sender))

    @precondition(lambda self: self.transport.keys())
    @rule(data=st.data())
    def vanish(self, data: Any) -> None:
        key = data.draw(st.sampled_from(self.transport.keys()))
        raw = self.transport.raw()[self.transport.keys().index(key)]
        self.vanished |= {one for one in self.sent if one.encode() in raw}
        self.transport.vanish(key)

    @rule()
    def renumber(self) -> None:
        known = self.gateway.states()
        self.replaced |= {one for one in self.transport.listed if one[1] not in known}
        self.transport.renumber()

    @rule(step=st.sampled_from(STEPS), after=st.integers(0, 4))
    def break_later(self, *, step: Any, after: int) -> None:
        self.transport.on(step, TransientError(f"broken at {step}"), after=after)

    @rule(from_beginning=st.booleans())
    def visit(self, *, from_beginning: bool) -> None:
        self.check(self.gateway.visit(from_beginning=from_beginning))

    def check(self, report: VisitReport) -> None:
        states = self.gateway.states()
        assert states.keys() == {key for _, key in self.transport.listed - self.replaced} or report.error, (
            "P1: a listed key is not in the ledger"
        )
        filed = Counter(one.message_id for one in self.gateway.filings())
        assert set(filed.values()) <= {1}, "P2: filed twice"
        assert {self.sent[one] for one in filed} <= {"anna@example.com"}, "filed, but not admitted"
        if self.gateway.imports.after is not None:
            waiting = [key for _, key, _ in self.transport.settled if states[key] not in {"filed", "duplicate"}]
            assert not waiting, "P3: settled, but not filed"

    def teardown(self) -> None:
        with self.stack:
            if hasattr(self, "gateway"):
                self.in_the_end()

    def in_the_end(self) -> None:
        """Whatever happened, a quiet visit makes all well."""
        self.transport.calm()
        # Asked for by their keys, those that wait for another try are not waited for, whether they are still there or not.
        waiting = [key for key, state in self.gateway.states().items() if state == "waiting"]
        self.check(self.gateway.good(keys=[*self.transport.keys(), *waiting, "no such key"]))
        self.check(self.gateway.good(from_beginning=True))
        expected = {one for one, sender in self.sent.items() if sender == "anna@example.com"}
        filed = {one.message_id for one in self.gateway.filings()}
        assert expected - self.vanished <= filed <= expected
        states = Counter(self.gateway.states().values())
        assert states["waiting"] == states["offered"] == 0
        if self.gateway.imports.after == Action(do="delete"):
            assert not [raw for raw in self.transport.raw() if b"From: anna@" in raw], "what is filed is deleted in the end"


Visits.TestCase.settings = settings(max_examples=30, stateful_step_count=20, suppress_health_check=[HealthCheck.too_slow])
TestVisits = Visits.TestCase
