"""What stands in error queues for a cause that is over is matched again by itself."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from gatewayd import TransientError
from gatewayd.config import Config, OperatorConfig
from gatewayd.scheduler import rematching
from gatewayd.scheduler.rematching import Rematcher
from gatewayd.testing import FakeTransport
from gatewayd_sql.options import SqlOptions
from tests.unit.heard import events
from tests.unit.kernel import Gateway
from tests.unit.log import logged
from tests.unit.matchers import plugin, registry, spec
from tests.unit.matching.test_worker_matching import Pool
from tests.unit.supervised import mails, until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pytest

    from gatewayd.matching import OperatorSpec
    from gatewayd.registry.loading import Registry

#: Breaks for guilty mail, unless a file says that it is mended.
WRONG = {"wrong": "if not Path(__file__).with_name('mended').exists(): raise ValueError('no')"}


class Site:
    """An operator with mail in a real store, workers, and a rematcher."""

    def __init__(self, folder: Path, matchers: Sequence[str], text: str) -> None:
        self.plugins = folder / "plugins"
        self.matchers = tuple(matchers)
        self.found: Registry = registry(self.plugins, text)
        self.now: OperatorSpec = self._spec()
        self.workers = Pool(self.found)
        self.transport = FakeTransport(account="main")
        self.gateway = Gateway(folder / "state", self.transport, specs=(self.now,))
        self.gateway.matching = self.workers  # type: ignore[assignment]
        self.rematcher = Rematcher(self.gateway.store, self.workers)

    def _spec(self) -> OperatorSpec:
        return spec(self.found, "acme", *self.matchers, folder=self.plugins, known=True)

    def apply(self, fingerprints: dict[str, str], *, text: str = "", matchers: Sequence[str] = (), faulty: bool = False) -> None:
        """Take a config over, as the daemon does."""
        if text:
            self.found = registry(self.plugins, text)
        self.matchers = tuple(matchers) or self.matchers
        self.now = self._spec() if not faulty else spec(self.found, "acme", folder=self.plugins)
        if faulty:
            self.now = replace(self.now, faulty=True)
        config = Config(
            folder=self.plugins,
            state=self.plugins,
            store_kind="sql",
            store_options=SqlOptions(url=None),
            registry=self.found,
            operators={"acme": OperatorConfig(name="acme")},
        )
        self.workers.apply(self.found, {"acme": self.now}, self.workers.config)
        self.rematcher.apply(config, {"acme": self.now}, {"acme": fingerprints} if not faulty else {})

    def deliver(self, *subjects: str) -> None:
        mails(self.transport, subjects)
        self.gateway.good()

    def faults(self) -> set[tuple[str, str]]:
        """Subject and by whom, of all faults."""
        return {(one.subject, fault.by) for one in self.gateway.filings() for fault in one.faults}

    def links(self) -> set[tuple[str, str]]:
        return {(one.subject, link.by) for one in self.gateway.filings() for link in one.links}

    def close(self) -> None:
        self.rematcher.stop(5)
        self.gateway.close()
        self.workers.close()


@contextmanager
def site(folder: Path, *matchers: str, text: str = "") -> Iterator[Site]:
    (folder / "state").mkdir()
    made = Site(folder, matchers, text or plugin(WRONG))
    try:
        yield made
    finally:
        made.close()


def idle(one: Site) -> None:
    until(lambda: not one.rematcher._queued)


def test_a_matcher_with_other_code_or_options_is_asked_again(tmp_path: Path) -> None:
    with site(tmp_path, "good", "wrong") as one:
        one.apply({"good": "1", "wrong": "1"})
        one.deliver("guilty 1", "fine 2", "guilty 3")
        assert one.faults() == {("guilty 1", "wrong"), ("guilty 3", "wrong")}
        # Nothing that concerns it has changed.
        one.apply({"good": "2", "wrong": "1"})
        idle(one)
        assert one.faults() == {("guilty 1", "wrong"), ("guilty 3", "wrong")}
        one.apply({"good": "2", "wrong": "2"}, text=plugin({"wrong": "return None"}))
        until(lambda: one.faults() == set())
        assert one.links() >= {("guilty 1", "wrong"), ("guilty 3", "wrong"), ("guilty 1", "good")}
        until(lambda: one.gateway.store.fingerprints("acme") == {"good": "2", "wrong": "2"})


def test_the_faults_of_a_matcher_that_is_no_longer_asked_are_nobodys(tmp_path: Path) -> None:
    with site(tmp_path, "good", "wrong") as one:
        one.apply({"good": "1", "wrong": "1"})
        one.deliver("guilty 1")
        until(lambda: one.gateway.store.fingerprints("acme"))
        one.apply({"good": "1"}, matchers=["good"])
        until(lambda: one.faults() == set())
        assert one.links() == {("guilty 1", "good")}


def test_what_was_filed_while_the_operators_file_was_faulty_is_matched_once_it_is_sound(tmp_path: Path) -> None:
    with site(tmp_path, "good") as one:
        one.apply({}, faulty=True)
        one.deliver("fine 1")
        assert one.faults() == {("fine 1", "config")}
        idle(one)
        one.apply({"good": "1"})
        until(lambda: one.links() == {("fine 1", "good")})
        assert one.faults() == set()


def test_what_was_queued_while_a_breaker_was_open_is_matched_once_it_closes(tmp_path: Path) -> None:
    with site(tmp_path, "good", "wrong") as one:
        clock = [0.0]
        one.workers.breakers._clock = lambda: clock[0]
        one.workers.events = events(breaker_changed=one.rematcher.breaker)
        one.apply({"good": "1", "wrong": "1"})
        for number in range(3):
            one.deliver(f"guilty {number}")
        one.deliver(*[f"fine {number}" for number in range(5)])
        assert len(one.faults()) == 8
        assert one.workers.breakers.open() == [("acme", "wrong")]
        one.rematcher.look()
        idle(one)
        assert len(one.faults()) == 8
        # Its time is up, but nothing is better.
        clock[0] = 601
        (one.plugins / "mended").touch()
        one.rematcher.look()
        until(lambda: one.faults() == set())
        assert one.workers.breakers.open() == []
        assert len([by for _, by in one.links() if by == "wrong"]) == 8


def test_guilty_mail_that_came_last_does_not_keep_older_mail_from_being_matched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatewayd.importing.rematch.BATCH", 2)
    with site(tmp_path, "good", "wrong", text=plugin({"wrong": "raise ValueError('no')"})) as one:
        one.apply({"good": "1", "wrong": "1"})
        one.deliver("guilty but mended", "guilty 2", "guilty 3")
        until(lambda: one.gateway.store.fingerprints("acme"))
        mended = plugin({"wrong": "\n        if 'mended' not in mail.subject:\n            raise ValueError('no')"})
        one.apply({"good": "1", "wrong": "2"}, text=mended)
        until(lambda: one.faults() == {("guilty 2", "wrong"), ("guilty 3", "wrong")})


def test_a_directory_that_answers_again_is_asked_again(tmp_path: Path) -> None:
    with site(tmp_path, "good", "asks") as one:
        clock = [0.0]
        one.workers.directories._clock = lambda: clock[0]
        one.apply({"good": "1", "asks": "1"})
        idle(one)
        (one.plugins / "down-find").touch()
        mails(one.transport, ["from nobody"])
        one.transport.deliver(b"From: anna@example.com\r\nSubject: one\r\nMessage-ID: <1@example.com>\r\n\r\nText\r\n")
        one.gateway.good()
        until(lambda: one.workers.directories._known["acme"].retry_at is not None)
        assert ("one", "directory") in one.faults()
        clock[0] = 16
        one.rematcher.look()
        idle(one)
        assert ("one", "directory") in one.faults()
        (one.plugins / "down-find").unlink()
        # Not before its time, which is longer by now.
        one.rematcher.look()
        idle(one)
        assert ("one", "directory") in one.faults()
        clock[0] = 60
        one.rematcher.look()
        until(lambda: ("one", "directory") not in one.faults())


def test_what_could_not_be_done_is_done_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with site(tmp_path, "good", "wrong") as one:
        one.apply({"good": "1", "wrong": "1"})
        one.deliver("guilty 1")
        idle(one)
        monkeypatch.setattr(rematching, "_AGAIN", 0.0)
        away_twice = [TransientError("the store is away"), TransientError("the store is away")]
        fingerprints, failing = one.gateway.store.fingerprints, [TransientError("it is full"), ValueError("a bug"), *away_twice]

        def away(operator: str) -> object:
            if failing:
                raise failing.pop()
            return fingerprints(operator)

        monkeypatch.setattr(one.gateway.store, "fingerprints", away)

        def mended() -> bool:
            one.rematcher.look()
            return one.faults() == set()

        with logged() as log:
            one.apply({"good": "1", "wrong": "2"}, text=plugin({"wrong": "return None"}))
            until(mended)
        assert failing == []
        # Once for each cause.
        assert log.getvalue().count("the store is away") == log.getvalue().count("it is full") == 1


def test_it_stops_in_the_middle(tmp_path: Path) -> None:
    with site(tmp_path, "good", "wrong", text=plugin({"wrong": "raise ValueError('no')"})) as one:
        one.apply({"good": "1", "wrong": "1"})
        one.deliver("guilty 1")
        idle(one)
        one.rematcher._stopping.set()
        one.rematcher.stop(5)
        assert one.rematcher._thread
        assert not one.rematcher._thread.is_alive()
        # Nobody waits for it any more, and it may never have been started.
        Rematcher(one.gateway.store, one.workers).stop(1)
