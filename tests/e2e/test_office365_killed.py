"""A daemon that sends through the stand-in for Microsoft Graph is killed with SIGKILL, at seeded requests (P7)."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
from collections import Counter
from contextlib import closing
from email import message_from_bytes
from email.policy import default
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

from gatewayd.testing.contracts.custodian import make_raw
from gatewayd.testing.graph import Graph
from tests.e2e.house import House, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatewayd.testing.graph import ExchangeMailbox, LoggedRequest

SEED = 20261130
MAILS, ALL_MAILS = 24, 300
KILLS, ALL_KILLS = 6, 30
#: Requests at which it is killed, before Exchange has carried them out and behind that.
PLACES = [(place, done) for place in ("POST /v1.0/users/{}/messages", "PATCH", "/send") for done in (True, False)]


@pytest.fixture
def graph() -> Iterator[Graph]:
    with Graph() as server:
        yield server


class Sender:
    """A house whose account sends what it imports, to one person."""

    def __init__(self, folder: Path, graph: Graph, mails: int) -> None:
        self.graph = graph
        self.mailbox: ExchangeMailbox = graph.add_mailbox("desk@acme.example")
        self.house = House(folder)
        main = self.house.folder / "gatewayd.yaml"
        main.write_text(f"{main.read_text()}limits: {{backoff: 1s, auth_pause: 1s, forwards_per_hour: 100000}}\n")
        secret = self.house.write("app-secret", graph.app.secret)
        self.house.operator(
            "acme",
            matchers="[contacts]",
            more="targets: {duty: {kind: office365, account: desk, to: [duty@x.example]}}\nforward: [{when: {}, to: duty}]\n",
        )
        self.house.write(
            "accounts/desk.yaml",
            f"kind: office365\noperators: [acme]\nmailbox: {self.mailbox.id}\ntenant: {graph.app.tenant}\n"
            f"client: {graph.app.client}\nsecret: !file {secret}\nauthority: {graph.authority}\ngraph: {graph.base}\n"
            f"ca_file: {graph.ca_file}\nimport: {{folders: [INBOX], every: 1h}}\nsend: {{from: {{address: desk@acme.example}}, system: true}}\n",
        )
        # What is there at the first look is no news, and is not forwarded.
        self.house.good("import", "desk")
        for number in range(mails):
            self.mailbox.deliver(make_raw(number))
        self.house.good("import", "desk")
        assert self.states() == {"waiting": mails}

    def states(self) -> dict[str, int]:
        """How many deliveries are in each state."""
        return dict(Counter(state for (state,) in self.house.read("SELECT state FROM delivery")))

    def age(self, seconds: float) -> None:
        """Let time pass for what was begun, while no daemon runs; nothing is under way in Exchange any more."""
        until("Exchange has done what it got", 60, lambda: all(one.ended for one in self.graph.log.requests))
        with closing(sqlite3.connect(self.house.database)) as db, db:
            for key, note in db.execute("SELECT id, note FROM delivery WHERE note != ''").fetchall():
                found = json.loads(note)
                aged = json.dumps({**found, "since": found["since"] - seconds})
                db.execute("UPDATE delivery SET note = ? WHERE id = ?", (aged, key))
            db.execute("UPDATE delivery SET due = due - ? WHERE due IS NOT NULL", (seconds,))

    def killed(self, place: str, nth: int, *, done: bool, deletes: bool) -> None:
        """Run a daemon, and kill it at the n-th request of a kind; ``deletes``: a person deletes the draft in that moment."""
        where, count = place.format(self.mailbox.id), 0
        self.graph.fail(where, "close", done=done, after=nth - 1)

        def seen(asked: LoggedRequest) -> None:
            nonlocal count
            count += where in str(asked)
            if where in str(asked) and count == nth:
                daemon.process.kill()
                if deletes:
                    draft = next(one for one in self.mailbox.messages("drafts") if one.immutable_id in unquote(str(asked)))
                    self.mailbox.delete(draft)

        with self.house.daemon(ready=False) as daemon:
            self.graph.on_request = seen
            until("it is killed", 60, lambda: daemon.process.poll() is not None)
            self.graph.on_request = lambda _: None
        assert daemon.process.poll() == -signal.SIGKILL
        assert count == nth

    def finish(self, rounds: int) -> None:
        """Deliver what waits, a quarter of an hour later each time."""
        for _ in range(rounds):
            self.age(1000)
            self.house.run("outbox", "deliver")
            if "waiting" not in self.states():
                return
        raise AssertionError(self.house.read("SELECT state, words, note FROM delivery WHERE state = 'waiting'"))


def killed_often(folder: Path, graph: Graph, mails: int, kills: int) -> None:
    graph.knobs.sends_twice = graph.knobs.replaces_message_id = graph.knobs.replaces_message_id_of_drafts = True
    own, chance = Sender(folder, graph, mails), random.Random(SEED)
    places = [PLACES[number % len(PLACES)] for number in range(kills)]
    chance.shuffle(places)
    parked = 0
    for place, done in places:
        deletes = place == "/send" and not done
        parked += deletes
        own.killed(place, chance.randint(1, 3), done=done, deletes=deletes)
        print(f"killed at {place}, {'done' if done else 'not done'}: {own.states()}")
        own.age(61)
    own.finish(6)
    assert own.states() == {"delivered": mails - parked, "parked": parked}
    rows = own.house.read("SELECT state, words, id FROM delivery")
    assert all("it may have been sent: the draft is gone" in words for state, words, _ in rows if state == "parked")
    copies = [next(message_from_bytes(one.mime, policy=default).iter_attachments()) for one in graph.delivered]
    originals = Counter(one.get_payload(decode=True) for one in copies)
    assert set(originals.values()) == {1}
    assert len(originals) == mails - parked
    assert originals.keys() <= {make_raw(number) for number in range(mails)}
    assert not own.mailbox.messages("drafts")


def test_P7_a_daemon_that_is_killed_while_it_sends_sends_each_mail_once_or_says_that_it_may_have(
    graph: Graph, tmp_path: Path
) -> None:
    killed_often(tmp_path, graph, MAILS, KILLS)


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_P7_a_daemon_that_is_killed_thirty_times_sends_each_of_300_mails_once_or_says_that_it_may_have(
    graph: Graph, tmp_path: Path
) -> None:
    killed_often(tmp_path, graph, ALL_MAILS, ALL_KILLS)
