"""Where keys span folders, a message is filed once, whichever folder it is moved to and whatever bytes its server makes of it."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from gatewayd import Action, TransientError
from gatewayd.config import ImportConfig
from gatewayd.testing import FakeTransport
from gatewayd.testing.contracts.custodian import make_raw
from tests.unit.kernel import Gateway

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gatewayd import State
    from gatewayd.testing.fakes.mailbox import FakeMessage

A, B = "Inbox", "Team"
SEEN, DELETE, MOVE = Action(do="seen"), Action(do="delete"), Action(do="move", folder="Done")
LOST = TransientError("connection lost")


class Strict(FakeTransport):
    """Its sessions fetch a message from the folder only in which it lies."""

    def wherever(self, _key: str) -> FakeMessage | None:
        return None


def server(count: int = 0) -> FakeTransport:
    transport = FakeTransport((A, B, "Done"), account="main", keys_span_folders=True)
    for number in range(1, count + 1):
        transport.deliver(make_raw(number), A)
    return transport


def gateway(folder: Path, transport: FakeTransport, after: Action | None = None) -> Gateway:
    return Gateway(folder, transport, imports=ImportConfig(folders=(A, B), after=after))


def states(gateway: Gateway, folder: str) -> Mapping[str, State]:
    keys = [key for _, key in gateway.transport.listed]
    return {key: was.state for key, was in gateway.store.known("main", folder, keys).items()}


def there(gateway: Gateway, folder: str) -> list[str]:
    """The keys that the ledger says are in a folder."""
    keys = [key for _, key in gateway.transport.listed]
    return sorted(key for key, was in gateway.store.known("main", folder, keys).items() if not was.gone)


def causes(gateway: Gateway, state: State) -> list[str]:
    return [one.cause for one in gateway.store.entries("main", state, after=0, limit=99)]


def is_proven(gateway: Gateway) -> None:
    for folder in (A, B):
        audit = gateway.audit(folder)
        assert audit.proven, audit
        assert audit.unsized == len(gateway.transport.keys(folder)), "that no size is proven is said"


@pytest.fixture
def transport() -> FakeTransport:
    return server(3)


@pytest.fixture
def moved(tmp_path: Path, transport: FakeTransport) -> Iterator[Gateway]:
    """An account whose first message was filed from one folder, and has been moved to another since."""
    with gateway(tmp_path, transport) as made:
        assert made.good().tally.filed == 3
        transport.move("id1", A, B)
        yield made


def test_a_moved_message_is_neither_filed_nor_fetched_once_more(moved: Gateway, transport: FakeTransport) -> None:
    report = moved.good()
    assert (report.listed, report.tally.filed, report.tally.duplicate) == (1, 0, 0)
    assert len(transport.steps("message")) == 3
    assert (states(moved, B), len(moved.filings())) == ({"id1": "duplicate"}, 3)
    (cause,) = causes(moved, "duplicate")
    assert cause.endswith(f"by its key, which was in {A} before")
    assert (there(moved, A), there(moved, B)) == (["id2", "id3"], ["id1"])
    assert [one.folder for one in moved.filings() if one.key == "id1"] == [B], "a mail is shown where it lies"
    is_proven(moved)


def test_a_message_that_is_moved_back_is_what_it_was(moved: Gateway, transport: FakeTransport) -> None:
    moved.good()
    transport.move("id1", B, A)
    assert moved.good().tally.filed == 0
    assert states(moved, A)["id1"] == "filed"
    assert (there(moved, A), there(moved, B)) == (["id1", "id2", "id3"], [])
    assert len(transport.steps("message")) == 3
    assert moved.good().listed == 0
    is_proven(moved)


def test_a_message_that_left_all_folders_and_is_back_is_what_it_was(moved: Gateway, transport: FakeTransport) -> None:
    transport.move("id1", B, "Done")
    moved.good(compare=True)
    assert there(moved, A) == ["id2", "id3"]
    for folder in (B, A):
        transport.move("id1", *(("Done", B) if folder == B else (B, A)))
        assert moved.good(compare=True).tally.filed == 0
        assert "id1" in there(moved, folder)
    assert (len(moved.filings()), len(transport.steps("message"))) == (3, 3)
    is_proven(moved)


@pytest.mark.parametrize("fetched_anywhere", [True, False])
def test_a_message_that_is_moved_between_listing_and_fetch_is_filed_once(tmp_path: Path, *, fetched_anywhere: bool) -> None:
    transport = (FakeTransport if fetched_anywhere else Strict)((A, B, "Done"), account="main", keys_span_folders=True)
    for number in range(1, 4):
        transport.deliver(make_raw(number), A)
    with gateway(tmp_path, transport) as made:
        transport.on("fetch", lambda: transport.move("id2", A, B))
        made.good()
        made.good()
        assert len(made.filings()) == 3
        assert there(made, B) == ["id2"]
        is_proven(made)


def test_a_message_that_waits_and_is_moved_waits_in_one_folder_only(tmp_path: Path) -> None:
    transport = server(2)
    with gateway(tmp_path, transport) as made:
        transport.fail("id1", "not now", A)
        made.visit()
        transport.move("id1", A, B)
        made.visit()
        assert (states(made, A)["id1"], states(made, B)) == ("vanished", {"id1": "waiting"})
        assert causes(made, "vanished") == [f"its message is in {B} by now"]
        transport.move("id1", B, A)
        made.visit()
        assert (states(made, A)["id1"], states(made, B)) == ("waiting", {"id1": "vanished"})
        transport.fail("id1", "", A)
        made.good(keys=["id1"])
        assert len(made.filings()) == 2
        is_proven(made)


def test_a_copy_is_a_message_of_its_own_unless_its_bytes_are_the_same(tmp_path: Path) -> None:
    transport = server(1)
    with gateway(tmp_path, transport) as made:
        made.good()
        transport.deliver(make_raw(1), B)
        transport.message("id2", B).made = None
        transport.deliver(b"X-Made: 1\r\n" + make_raw(1), B)
        transport.message("id3", B).made = None
        made.good()
        assert states(made, B) == {"id2": "filed", "id3": "duplicate"}
        assert causes(made, "duplicate") == [f"the same bytes as mail {made.filings()[-1].id}"]


# --- what is owed -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [SEEN, DELETE, MOVE])
def test_P3_what_is_owed_is_done_once_and_where_the_message_is(tmp_path: Path, after: Action) -> None:
    transport = server(3)
    with gateway(tmp_path, transport, after) as made:
        transport.on("settle", LOST)
        made.visit()
        assert transport.settled == []
        transport.move("id1", A, B)
        transport.move("id2", A, "Done")
        assert made.good().settled == 2
        assert sorted(transport.settled) == sorted([(B, "id1", after), (A, "id3", after)])
        # Out of all folders, it was left alone; back in one of them, it is done with.
        transport.move("id2", "Done", B)
        assert made.good().settled == 1
        assert transport.settled[-1] == (B, "id2", after)
        for _ in range(2):
            assert made.good(compare=True).settled == 0
        assert len(made.filings()) == 3


def test_P3_a_message_that_comes_back_after_its_action_is_left_alone(tmp_path: Path) -> None:
    transport = server(1)
    with gateway(tmp_path, transport, MOVE) as made:
        assert made.good().settled == 1
        for folder in (A, B):
            transport.move("id1", "Done" if folder == A else A, folder)
            assert (made.good().settled, transport.keys(folder)) == (0, ["id1"])
        assert len(made.filings()) == 1


def test_P3_an_action_whose_answer_was_lost_is_not_done_again_in_the_folder_that_it_led_to(tmp_path: Path) -> None:
    transport = server(1)
    with gateway(tmp_path, transport, Action(do="move", folder=B)) as made:

        def answer_is_lost() -> None:
            transport.move("id1", A, B)
            raise LOST

        transport.on("settle", answer_is_lost)
        assert made.visit().error is LOST
        assert made.good().settled == 0
        assert (transport.keys(B), transport.settled) == (["id1"], [])


def test_P3_nothing_is_done_to_a_message_with_another_message_id(tmp_path: Path) -> None:
    transport = server(2)
    with gateway(tmp_path, transport, DELETE) as made:
        transport.on("look_up", lambda: setattr(transport.message("id1", A), "listed_id", "<other@example.com>"))
        report = made.visit()
        assert (report.settled, transport.keys(A)) == (1, ["id1"])
        assert report.problems == (
            f"{A}: 1 messages, such as id1, have another Message-ID than was filed: nothing is done to them",
        )
        assert made.audit(A).changed == ("id1",), "and no audit is content"
        assert made.visit().problems == ()


def test_P3_headers_tell_the_message_id_if_listings_do_not(tmp_path: Path) -> None:
    transport = server(2)
    for message in transport.folders[A].messages:
        message.listed_id = None
    with gateway(tmp_path, transport, DELETE) as made:
        assert made.good().settled == 2
        assert transport.steps("headers")


# --- a lost sync state ------------------------------------------------------------------------------------------------


def test_a_lost_sync_state_costs_neither_loss_nor_double(tmp_path: Path) -> None:
    transport = server(7)
    transport.page_size = 2
    with gateway(tmp_path, transport, SEEN) as made:
        made.good()
        transport.move("id2", A, B)
        transport.renumber(A)
        transport.deliver(make_raw(8), A)
        report = made.good()
        assert (report.tally.filed, len(made.filings())) == (1, 8)
        assert len(transport.steps("message")) == 8
        assert len(transport.settled) == 8
        is_proven(made)


def test_new_mail_that_a_listing_after_a_lost_sync_state_shows_is_new(tmp_path: Path) -> None:
    transport = server(2)
    with gateway(tmp_path, transport) as made:
        made.good()
        transport.renumber(A)
        # Written before the last check, and come after it, as much mail is.
        for raw, arrival in ((make_raw(3), datetime.now(UTC)), (make_raw(4), datetime(2026, 1, 1, tzinfo=UTC))):
            transport.fail(transport.deliver(raw, A, arrival=arrival), "not now", A)
        made.visit()
        waiting = made.store.waiting("main", A, after=0, limit=9, keys=["id3", "id4"])
        assert [(one.listed.key, one.backlog) for one in waiting] == [("id3", False), ("id4", True)]


class Moves(RuleBasedStateMachine):
    """Mail comes, goes and is moved and copied between folders, sync states are lost, and visits are killed at any step."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.sent = 0

    @initialize(page_size=st.integers(1, 3), after=st.sampled_from([None, SEEN, MOVE, DELETE]))
    def begin(self, *, page_size: int, after: Action | None) -> None:
        folder = Path(self.stack.enter_context(TemporaryDirectory()))
        self.server = server()
        self.server.page_size = page_size
        self.gateway = gateway(folder, self.server, after)
        self.stack.callback(self.gateway.close)

    def lies(self) -> list[tuple[str, str]]:
        return [(name, key) for name in self.server.folders for key in self.server.keys(name)]

    @rule(folder=st.sampled_from([A, B, "Done"]), new=st.booleans())
    def deliver(self, *, folder: str, new: bool) -> None:
        self.sent += 1
        self.server.deliver(make_raw(self.sent), folder, arrival=datetime.now(UTC) if new else None)

    @rule(
        data=st.data(), to=st.sampled_from([A, B, "Done", ""]), step=st.sampled_from([None, "page", "fetch", "message", "look_up"])
    )
    def move(self, data: Any, to: str, step: Any) -> None:
        """Or delete it; at once or in a visit."""
        if not (lies := self.lies()):
            return
        _, key = data.draw(st.sampled_from(lies))

        def move() -> None:
            for folder in [name for name, one in self.lies() if one == key]:
                if to:
                    self.server.move(key, folder, to)
                else:
                    self.server.vanish(key, folder)

        move() if step is None else self.server.on(step, move)

    @rule(folder=st.sampled_from([A, B]))
    def lose_the_sync_state(self, folder: str) -> None:
        self.server.renumber(folder)

    @rule(
        step=st.sampled_from(["open", "listing", "page", "look_up", "headers", "fetch", "message", "settle"]),
        after=st.integers(0, 3),
    )
    def die(self, step: Any, after: int) -> None:
        """At any step of the server; what was committed by then is what the next visit goes on with."""
        self.server.on(step, LOST, after=after)

    @rule(compare=st.booleans())
    def visit(self, *, compare: bool) -> None:
        report = self.gateway.visit(compare=compare)
        assert report.error in {None, LOST}, report.error
        self.once()

    def once(self) -> None:
        """No message is filed twice, and no key is there in two folders or waits in two."""
        twice = [key for key, times in Counter(one.message_id for one in self.gateway.filings()).items() if times > 1]
        assert not twice, f"filed twice: {twice}"
        for keys in (there(self.gateway, A) + there(self.gateway, B), [key for _, key, _ in self.settled()]):
            assert max(Counter(keys).values(), default=1) == 1, "in two folders, or settled twice"

    def settled(self) -> list[tuple[str, str, Action]]:
        return self.server.settled

    def teardown(self) -> None:
        with self.stack:
            if hasattr(self, "gateway"):
                self.in_the_end()

    def in_the_end(self) -> None:
        self.server.calm()
        for _ in range(2):
            self.gateway.visit(keys=[key for _, key in self.lies()], compare=True)
        self.gateway.good(compare=True)
        self.once()
        for folder in (A, B):
            assert sorted(self.server.keys(folder)) == there(self.gateway, folder)
        is_proven(self.gateway)
        here = {self.server.message(key, name).listed_id for name, key in self.lies() if name != "Done"}
        assert here <= {one.message_id for one in self.gateway.filings()}


def test_P1_every_message_is_filed_once_whatever_happens_to_its_folders() -> None:
    run_state_machine_as_test(
        Moves, settings=settings(max_examples=30, stateful_step_count=25, suppress_health_check=list(HealthCheck))
    )
