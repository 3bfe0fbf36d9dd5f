"""Custody by a model: a server that does all that real ones were seen to do, against visits and the real store (promises P1 to P3).

It delivers, is restored from a backup, gives numbers and UIDLs again, renumbers with and without the arrivals, expunges between
listing and fetch, sends something else in place of a message, lists wrong sizes or only estimates them, lists less than it counts,
and breaks off.
Nothing is lost or doubled, nothing is done to a message that is not filed, and no audit is content where something is missing.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from gatewayd import Action, TransientError
from gatewayd.config import ImportConfig
from gatewayd.testing import FakeTransport
from tests.unit.kernel import Gateway, limited

if TYPE_CHECKING:
    from gatewayd import Audit
    from gatewayd.importing.values import VisitReport
    from gatewayd.testing.fakes.mailbox import Folder
    from gatewayd.testing.fakes.transport import Asked

#: When something happens to the mailbox while it is visited.
DURING = ("page", "look_up", "fetch", "message", "settle")
#: No server tells what it does to it between the last look and the action itself.
BEFORE = ("page", "look_up", "fetch", "message")
STEPS = ("open", "listing", "page", "look_up", "headers", "fetch", "message", "settle", "close")

#: What servers were seen to send in place of a message: Courier, pymap.
STAND_INS = (
    b"From: System Administrator <root@localhost>\r\nSubject: message unavailable\r\n\r\nThis message is no longer available.\r\n",
    b"",
)
#: By how much the sizes are wrong of a server that estimates them, and how often it sends a notice in place of one message: what
#: differs more often than that is given up.
ESTIMATED, NOTICES = 57, 2


def make(number: int, *, marks: bool, length: int) -> bytes:
    """A message that is as long as is said."""
    marked = f"Message-ID: <{number}@example.com>\r\nDate: {format_datetime(datetime.now(UTC))}\r\n" if marks else ""
    head = f"{marked}From: anna@example.com\r\nSubject: Booking {number:08}\r\n\r\n".encode()
    return head.ljust(260, b"x") + b"x" * length


class Server(FakeTransport):
    """A mailbox that has its messages looked after: which it showed, and which it was made to change."""

    machine: Custody

    def ask(self, asked: Asked) -> None:
        if asked.step == "settle":
            self.machine.is_settled(asked)
        super().ask(asked)


class Custody(RuleBasedStateMachine):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.sent = 0
        self.noticed: Counter[bytes] = Counter()
        self.clock = datetime.now(UTC)

    @initialize(
        has_cursor=st.booleans(),
        page_size=st.integers(1, 4),
        overlap=st.integers(1, 6),
        after=st.sampled_from([None, Action(do="seen"), Action(do="delete"), Action(do="move", folder="Done")]),
        placeholder=st.sampled_from([None, *STAND_INS]),
        tells_arrival=st.booleans(),
        estimates=st.booleans(),
    )
    def begin(
        self,
        *,
        has_cursor: bool,
        page_size: int,
        overlap: int,
        after: Action | None,
        placeholder: bytes | None,
        tells_arrival: bool,
        estimates: bool,
    ) -> None:
        folder = Path(self.stack.enter_context(TemporaryDirectory()))
        self.server = Server(("INBOX", "Done"), account="main", has_cursor=has_cursor, page_size=page_size, overlap=overlap)
        self.server.machine = self
        self.server.placeholder = placeholder
        # What has numbers tells arrivals; what has UIDLs does not.
        self.tells_arrival = has_cursor or tells_arrival
        self.estimates = estimates
        # No time passes here: what is to be fetched once more is due at once.
        bounds = limited(batch_messages=4, reread_after=0.0)
        self.gateway = Gateway(folder, self.server, imports=ImportConfig(after=after), limits=bounds)
        self.stack.callback(self.gateway.close)

    # --- what the server does -----------------------------------------------------------------------------------------

    @property
    def inbox(self) -> Folder:
        return self.server.folders["INBOX"]

    def come(self, count: int, *, marks: bool = True, uidl: str = "") -> None:
        for _ in range(count):
            self.sent += 1
            self.clock += timedelta(seconds=2)
            # Where a server tells no arrivals, only the size can tell two messages under one key.
            length = 40 if self.tells_arrival and self.sent % 2 else 40 + 64 * self.sent
            # Where sizes are estimates, what has no name and no date of its own is never taken.
            raw = make(self.sent, marks=marks or self.estimates, length=length)
            message = self.server.message(self.server.deliver(raw, arrival=self.clock))
            message.listed_size = self.size(raw)
            if not self.tells_arrival:
                message.arrival = None
            # A UIDL that was given before and is free now is given again.
            if not self.server.has_cursor and uidl and not self.inbox.keyed().get(uidl):
                message.uidl = uidl

    def size(self, raw: bytes) -> int:
        return len(raw) + (ESTIMATED if self.estimates else 0)

    def go(self, count: int) -> None:
        """Be as a backup has it, from before the last messages came: their keys are given again."""
        del self.inbox.messages[len(self.inbox.messages) - count :]
        self.inbox.next_number = max(1, self.inbox.next_number - count)
        self.inbox.next_number = max([self.inbox.next_number - 1, *(one.number for one in self.inbox.messages)]) + 1

    def touch(self) -> None:
        """What a program does that puts files back without their times."""
        self.clock += timedelta(seconds=2)
        for message in self.inbox.messages:
            message.arrival = self.clock if self.tells_arrival else None

    @rule(count=st.integers(1, 3), marks=st.booleans(), uidl=st.sampled_from(["", "a", "b"]))
    def deliver(self, *, count: int, marks: bool, uidl: str) -> None:
        self.come(count, marks=marks, uidl=uidl)

    @precondition(lambda self: self.inbox.messages)
    @rule(data=st.data())
    def expunge(self, data: Any) -> None:
        self.inbox.messages.remove(data.draw(st.sampled_from(self.inbox.messages)))

    @rule(count=st.integers(1, 4), come=st.integers(0, 4), touched=st.booleans(), uidl=st.sampled_from(["", "a"]))
    def restore(self, *, count: int, come: int, touched: bool, uidl: str) -> None:
        self.go(min(count, len(self.inbox.messages)))
        if touched:
            self.touch()
        self.come(come, uidl=uidl)

    @rule(touched=st.booleans(), come=st.integers(0, 2))
    def renumber(self, *, touched: bool, come: int) -> None:
        self.server.renumber()
        if touched:
            self.touch()
        for number, message in enumerate(self.inbox.messages):
            message.uidl = f"r{self.inbox.generation}.{number}" if message.uidl else ""
        self.come(come)

    @precondition(lambda self: self.inbox.messages)
    @rule(data=st.data(), step=st.sampled_from([None, *BEFORE]), nth=st.integers(0, 4))
    def give_its_key_to_another(self, data: Any, step: Any, nth: int) -> None:
        """As popa3d does, whose UIDL is a digest of some headers."""
        message = data.draw(st.sampled_from(self.inbox.messages))

        def give() -> None:
            if message in self.inbox.messages:
                self.come(1)
                other = self.inbox.messages.pop()
                other.number, other.uidl = message.number, message.uidl
                self.inbox.messages[self.inbox.messages.index(message)] = other

        give() if step is None else self.server.on(step, give, after=nth)

    @rule(step=st.sampled_from(BEFORE), nth=st.integers(1, 4))
    def give_the_first_key_to_another_in_a_visit(self, *, step: Any, nth: int) -> None:
        """Most often after its message was fetched, and before it is settled."""

        def give() -> None:
            if self.inbox.messages:
                first = self.inbox.messages[0]
                self.come(1)
                other = self.inbox.messages.pop()
                other.number, other.uidl = first.number, first.uidl
                self.inbox.messages[0] = other

        self.server.on(step, give, after=nth)

    @rule(step=st.sampled_from(BEFORE), come=st.integers(0, 3), count=st.integers(1, 3), nth=st.integers(0, 2))
    def restore_in_a_visit(self, *, step: Any, come: int, count: int, nth: int) -> None:
        def restore() -> None:
            self.go(min(count, len(self.inbox.messages)))
            self.come(come)

        self.server.on(step, restore, after=nth)

    @rule(step=st.sampled_from(DURING), nth=st.integers(0, 2), which=st.integers(0, 5))
    def expunge_in_a_visit(self, *, step: Any, nth: int, which: int) -> None:
        self.server.on(step, lambda: self.inbox.messages.__delitem__(slice(which, which + 1)), after=nth)

    @precondition(lambda self: self.inbox.messages)
    @rule(data=st.data(), what=st.sampled_from([*STAND_INS, None]))
    def send_something_else(self, data: Any, what: bytes | None) -> None:
        """Or what is there, again."""
        for message in self.inbox.messages if what is None else [data.draw(st.sampled_from(self.inbox.messages))]:
            message.served = what

    @precondition(lambda self: self.inbox.messages)
    @rule(data=st.data(), by=st.sampled_from([-7, 3, 20, 0]))
    def list_a_wrong_size(self, data: Any, by: int) -> None:
        """Or the right ones, again."""
        for message in [data.draw(st.sampled_from(self.inbox.messages))] if by else self.inbox.messages:
            message.listed_size = self.size(message.raw) + by

    @precondition(lambda self: self.estimates)
    @rule(data=st.data(), come=st.integers(1, 4))
    def send_a_notice_once(self, data: Any, come: int) -> None:
        """With the headers of the message itself, as a scanner does; and each time another one."""
        self.come(come)
        message = data.draw(st.sampled_from(self.inbox.messages[-come:] + self.inbox.messages[:1]))
        if self.noticed[message.raw] < NOTICES:
            self.noticed[message.raw] += 1
            notice = b"\r\n\r\nNotice %d: it is being scanned.\r\n" % self.noticed.total()
            message.momentary = message.raw.partition(b"\r\n\r\n")[0] + notice

    @precondition(lambda self: self.inbox.messages)
    @rule(data=st.data(), how=st.sampled_from(["one", "all", "none"]))
    def hide(self, data: Any, how: str) -> None:
        """List less than there is, or all of it again."""
        for message in [data.draw(st.sampled_from(self.inbox.messages))] if how == "one" else self.inbox.messages:
            message.hidden = how != "none"

    @rule(step=st.sampled_from(STEPS), after=st.integers(0, 4))
    def break_off(self, *, step: Any, after: int) -> None:
        self.server.on(step, TransientError(f"broken at {step}"), after=after)

    @rule(after=st.integers(0, 1))
    def die_behind_a_settle(self, *, after: int) -> None:
        """The server does what it is told, and its word of it is lost."""

        def die() -> None:
            asked = self.server.asked[-1]
            if asked.action is not None and asked.action.do != "seen":
                gone = {id(message) for key, message in self.inbox.keyed().items() if key in asked.keys}
                self.inbox.messages[:] = [one for one in self.inbox.messages if id(one) not in gone]
            raise TransientError("broken behind the settle")

        self.server.on("settle", die, after=after)

    # --- what we do ---------------------------------------------------------------------------------------------------

    @rule(asked=st.sampled_from(["", "", "", "from_beginning", "compare", "keys"]))
    def visit(self, *, asked: str) -> None:
        keys = self.server.keys() if asked == "keys" else None
        self.check(self.gateway.visit(from_beginning=asked == "from_beginning", compare=asked == "compare", keys=keys))

    @rule()
    def visit_quietly(self) -> None:
        self.server.calm()
        self.visit(asked="keys")

    @rule()
    def visit_and_audit(self) -> None:
        self.visit(asked="")
        self.server.calm()
        if self.audit().proven:
            self.all_is_here()

    # --- what holds ---------------------------------------------------------------------------------------------------

    def kept(self) -> dict[bytes, int]:
        """Digests of what is filed, with how often."""
        return Counter(one.digest for one in self.gateway.filings())

    def is_settled(self, asked: Asked) -> None:
        """P3: what is done on the server now is done to what is filed."""
        kept = self.kept()
        for key, message in self.server.folders[asked.folder].keyed().items():
            if key in asked.keys:
                assert sha256(message.raw).digest() in kept, f"P3: {key} is {asked.action}, and was never filed"

    def check(self, report: VisitReport) -> None:
        assert report.error is None or isinstance(report.error, TransientError), report.error
        kept = self.kept()
        assert max(kept.values(), default=1) == 1, "P2: filed twice"
        in_place = {sha256(one).digest() for one in STAND_INS}
        strange = [one for one in self.gateway.filings() if one.digest in in_place]
        assert not strange, f"what the server sent in place of a message is filed as the message: {strange}"

    def audit(self) -> Audit:
        """What an audit says that has once more what is of another size than is listed."""
        audit, there = self.gateway.audit(), self.inbox.keyed()
        again = {key: sha256(one.raw).digest() for key, one in there.items()}
        return replace(audit, unlike=tuple(key for key in audit.unlike if again.get(key) != audit.digests[key]))

    def all_is_here(self) -> None:
        kept = self.kept()
        missing = [key for key, one in self.inbox.keyed().items() if sha256(one.raw).digest() not in kept]
        assert not missing, f"P1: custody is proven, and {missing} are not here"

    def teardown(self) -> None:
        with self.stack:
            if hasattr(self, "gateway"):
                self.in_the_end()

    def in_the_end(self) -> None:
        """Whatever happened: once the server is what it should be, all that it has comes, and custody is proven."""
        self.server.calm()
        for message in self.inbox.messages:
            message.served, message.momentary, message.hidden, message.listed_size = None, None, False, self.size(message.raw)
        if self.estimates:
            # So many of them that they are known to be estimates.
            self.come(4)
        for _ in range(4):
            self.gateway.pass_time()
            waiting = [key for key, state in self.gateway.states().items() if state == "waiting"]
            self.check(self.gateway.visit(keys=[*self.server.keys(), *waiting, "no such key"], compare=True))
        self.gateway.pass_time()
        report = self.gateway.visit(keys=self.server.keys(), compare=True)
        assert (report.error, report.problems) == (None, ()), (report.error, report.problems)
        audit = self.audit()
        assert audit.proven, audit
        self.all_is_here()
        if self.gateway.imports.after == Action(do="delete"):
            left = [one.number for one in self.inbox.messages if b"Message-ID: " in one.raw]
            assert not left, "what is filed is deleted in the end, but for what may stand in for others"


def number_of(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )


def test_P1_custody_holds_whatever_the_server_does() -> None:
    run_state_machine_as_test(Custody, settings=number_of(25, 25))


@pytest.mark.campaign
def test_P1_custody_holds_whatever_the_server_does_in_ten_thousand_steps() -> None:
    run_state_machine_as_test(Custody, settings=number_of(250, 40))
