"""Observers hear of what happened, apart from the mail's path: none can hold up the daemon, or another observer."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from gatewayd import AccountChanged, AccountHealth, ConfigLoaded, DeliverySettled, MailFailed, MailFiled
from gatewayd.daemon.observers import Observers
from gatewayd.registry import loading
from tests.patience import AT_ONCE, LONG
from tests.unit.log import logged
from tests.unit.supervised import until

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gatewayd.api.events import Event

HEARS_ALL = """
from gatewayd import hookimpl
heard = []
@hookimpl
def gatewayd_mail_filed(event): heard.append(event)
@hookimpl
def gatewayd_mail_failed(event): heard.append(event)
@hookimpl
def gatewayd_delivery_settled(event): heard.append(event)
@hookimpl
def gatewayd_account_changed(event): heard.append(event)
@hookimpl
def gatewayd_config_loaded(event): heard.append(event)
"""
#: It waits at every mail until the test sets its event.
HANGS = """
import threading
from gatewayd import hookimpl
heard, gate = [], threading.Event()
@hookimpl
def gatewayd_mail_filed(event):
    heard.append(event)
    gate.wait(120)
"""
RAISES = """
from gatewayd import hookimpl
@hookimpl
def gatewayd_mail_filed(event):
    raise {error}
"""


def filed(mail_id: int) -> MailFiled:
    return MailFiled(
        account="main", folder="INBOX", key=str(mail_id), mail_id=mail_id, size=1, received_at=None, backlog=False, filings=()
    )


class Scene:
    """Observers of some plugin files, and what the log says of them."""

    def __init__(self, folder: Path, log: io.StringIO) -> None:
        self.folder = folder
        self.log = log
        self.observers: Observers | None = None
        self.lost: list[int] = []
        self.opened: list[threading.Event] = []

    def start(self, *, length: int = 1000, give_up: float = 0.2, report_every: float = 60, **files: str) -> Observers:
        for name, text in files.items():
            (self.folder / f"{name}.py").write_text(text)
        registry = loading.load(self.folder)
        assert {plugin.name: plugin.error for plugin in registry.plugins if plugin.name in files} == dict.fromkeys(files, "")
        self.observers = Observers(
            registry,
            length=length,
            report_after=give_up / 2,
            give_up_after=give_up,
            report_every=report_every,
            dropped=self.lost.append,
        )
        self.opened += [self.plugin(name).gate for name in files if hasattr(self.plugin(name), "gate")]
        return self.observers

    def plugin(self, name: str) -> Any:
        """The module of a plugin's file as it was loaded last."""
        origin = str(self.folder / f"{name}.py")
        return [one for one in sys.modules.values() if (spec := getattr(one, "__spec__", None)) and spec.origin == origin][-1]

    def ids(self, name: str) -> list[int]:
        return [event.mail_id for event in self.plugin(name).heard]

    def close(self) -> None:
        for gate in self.opened:
            gate.set()
        if self.observers is not None:
            self.observers.close()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with logged() as log:
        made = Scene(tmp_path, log)
        yield made
        made.close()


def soon(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + LONG
    while not true():
        assert time.monotonic() < deadline, f"it did not happen within {LONG:g} s"
        time.sleep(0.005)


def test_each_event_reaches_its_hook(scene: Scene) -> None:
    observers = scene.start(ears=HEARS_ALL)
    health = AccountHealth(account="main", holder="me", condition="paused")
    events: list[Event] = [
        filed(1),
        MailFailed(account="main", mail_id=1, operator="acme", by="vouchers", error="KeyError: 1 (vouchers.py:3)"),
        DeliverySettled(delivery_id=7, operator="acme", mail_id=1, goal="duty", cause="rule 1", state="delivered"),
        AccountChanged(health=health, before="watching"),
        ConfigLoaded(accounts=("main",), operators=("acme",)),
    ]
    for event in events:
        observers.tell(event)
    soon(lambda: len(scene.plugin("ears").heard) == 5)
    assert scene.plugin("ears").heard == events


def test_events_come_in_their_order_and_once(scene: Scene) -> None:
    observers = scene.start(first=HEARS_ALL, second=HEARS_ALL)
    for number in range(500):
        observers.tell(filed(number))
    soon(lambda: len(scene.ids("second")) == 500)
    assert scene.ids("first") == scene.ids("second") == list(range(500))


@pytest.mark.parametrize("error", ["ValueError('secret subject')", "SystemExit(1)", "KeyboardInterrupt"])
def test_P4_one_that_raises_does_not_keep_others_from_hearing(scene: Scene, error: str) -> None:
    bad = RAISES.format(error=error)
    observers = scene.start(a_bad=bad, ears=HEARS_ALL, z_bad=bad)
    observers.tell(filed(1))
    observers.tell(filed(2))
    soon(lambda: scene.log.getvalue().count("observer failed") == 4)
    assert scene.ids("ears") == [1, 2]
    assert "plugin=a_bad hook=gatewayd_mail_filed" in scene.log.getvalue()
    assert "at=a_bad.py:5" in scene.log.getvalue()
    assert "secret subject" not in scene.log.getvalue()


def test_P4_a_hanging_one_is_reported_left_behind_and_heard_of_again_when_it_returns(scene: Scene) -> None:
    observers = scene.start(a_hangs=HANGS, ears=HEARS_ALL)
    for number in range(3):
        observers.tell(filed(number))
    soon(lambda: len(scene.ids("ears")) == 3)
    assert scene.ids("a_hangs") == [0]
    assert [line.split("gatewayd_mail_filed has not")[0] for line in observers.problems()] == ["a_hangs: "]
    assert scene.log.getvalue().count("observer hangs plugin=a_hangs") == 2
    assert "warning observer hangs" in scene.log.getvalue()
    assert "error   observer hangs" in scene.log.getvalue()

    scene.plugin("a_hangs").gate.set()
    soon(lambda: "observer returned plugin=a_hangs" in scene.log.getvalue())
    assert observers.problems() == ()
    observers.tell(filed(3))
    soon(lambda: len(scene.ids("ears")) == 4)
    assert scene.ids("a_hangs") == [0, 3]


def test_a_slow_one_is_reported_and_not_left_behind(scene: Scene) -> None:
    observers = scene.start(give_up=8, a_hangs=HANGS)
    observers._report_after = 0.05
    observers.tell(filed(1))
    observers.tell(filed(2))
    soon(lambda: "observer hangs" in scene.log.getvalue())
    assert len(observers.problems()) == 1
    scene.plugin("a_hangs").gate.set()
    soon(lambda: scene.ids("a_hangs") == [1, 2])
    assert "error   observer hangs" not in scene.log.getvalue()
    assert "returned" not in scene.log.getvalue()


def test_P8_telling_never_waits_and_what_there_is_no_room_for_is_counted_and_reported(scene: Scene) -> None:
    observers = scene.start(length=10, give_up=LONG, report_every=0.3, a_hangs=HANGS)
    began = time.monotonic()
    for number in range(100):
        observers.tell(filed(number))
    assert time.monotonic() - began < AT_ONCE
    assert 89 <= len(scene.lost) <= 90
    scene.plugin("a_hangs").gate.set()
    soon(lambda: "events dropped" in scene.log.getvalue())
    assert f"events dropped events={len(scene.lost)}" in scene.log.getvalue()
    soon(lambda: len(scene.ids("a_hangs")) == 100 - len(scene.lost))


def test_lost_events_are_reported_even_if_no_further_one_comes(scene: Scene) -> None:
    observers = scene.start(length=1, give_up=LONG, report_every=0.5, a_hangs=HANGS)
    observers._reported_at = time.monotonic()
    for number in range(5):
        observers.tell(filed(number))
    scene.plugin("a_hangs").gate.set()
    soon(lambda: scene.ids("a_hangs"))
    assert "events dropped" not in scene.log.getvalue()
    soon(lambda: "events dropped" in scene.log.getvalue())


def test_without_observers_there_is_no_thread(scene: Scene) -> None:
    observers = scene.start(other=RAISES.format(error="None").replace("mail_filed", "mail_failed"))
    observers.tell(filed(1))
    assert observers._teller is None
    observers.close()


def test_the_observers_of_plugins_loaded_anew_are_told_from_then_on(scene: Scene, tmp_path: Path) -> None:
    observers = scene.start(ears=HEARS_ALL)
    observers.tell(filed(1))
    soon(lambda: scene.ids("ears") == [1])
    old = scene.plugin("ears")
    for name in ("ears", "more"):
        (tmp_path / f"{name}.py").write_text(HEARS_ALL + "# edited")
    observers.replace(loading.load(tmp_path))
    observers.tell(filed(2))
    soon(lambda: scene.ids("ears") == scene.ids("more") == [2])
    assert [event.mail_id for event in old.heard] == [1]


def test_closing_lets_what_waits_be_heard_and_then_nothing_more(scene: Scene) -> None:
    observers = scene.start(ears=HEARS_ALL)
    for number in range(50):
        observers.tell(filed(number))
    observers.close()
    assert scene.ids("ears") == list(range(50))
    observers.tell(filed(99))
    assert not [thread for thread in threading.enumerate() if thread.name == "observers"]
    assert len(scene.ids("ears")) == 50


@pytest.mark.parametrize("waiting", [1, 20])
def test_closing_does_not_wait_for_one_that_hangs(scene: Scene, waiting: int) -> None:
    observers = scene.start(length=5, give_up=LONG, a_hangs=HANGS)
    for number in range(waiting):
        observers.tell(filed(number))
    soon(lambda: scene.ids("a_hangs"))
    began = time.monotonic()
    observers.close(timeout=0.2)
    assert time.monotonic() - began < AT_ONCE


# --- what is loaded ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("def gatewayd_mail_file(event): pass", "there is no hook gatewayd_mail_file: did you mean gatewayd_mail_filed?"),
        ("def gatewayd_mail_filed(mail): pass", "mail"),
    ],
)
def test_an_observer_that_could_never_be_told_is_out_of_use(tmp_path: Path, text: str, error: str) -> None:
    (tmp_path / "bad.py").write_text(f"from gatewayd import hookimpl\n@hookimpl\n{text}\n")
    (found,) = [one for one in loading.load(tmp_path).plugins if one.name == "bad"]
    assert error in found.error


def test_a_plugin_may_observe_and_offer(tmp_path: Path) -> None:
    both = "from gatewayd import Matcher, hookimpl\nclass One(Matcher):\n    kind = 'one'\n    def match(self, mails, directory): return []\n"
    both += "@hookimpl\ndef gatewayd_matchers(): return [One]\n@hookimpl\ndef gatewayd_mail_filed(): pass\n"
    (tmp_path / "both.py").write_text(both)
    registry = loading.load(tmp_path)
    (found,) = [one for one in registry.plugins if one.name == "both"]
    assert found.offers == (("matchers", "one"), ("observers", "mail_filed"))
    assert [(one.plugin, one.call(filed(1))) for one in registry.observers("gatewayd_mail_filed")] == [("both", [])]


def test_what_is_out_of_use_hears_nothing(tmp_path: Path) -> None:
    bad = HEARS_ALL + "@hookimpl\ndef gatewayd_matchers(): return 7\n"
    (tmp_path / "bad.py").write_text(bad)
    assert loading.load(tmp_path).observers("gatewayd_mail_filed") == []


def test_P4_a_plugin_that_hung_hears_again_once_its_code_was_mended_and_loaded_anew(scene: Scene) -> None:
    observers = scene.start(wrong=HANGS, right=HEARS_ALL)
    observers.tell(filed(1))
    until(lambda: observers._hanging)
    (scene.folder / "wrong.py").write_text(HEARS_ALL)
    observers.replace(loading.load(scene.folder))
    observers.tell(filed(2))
    until(lambda: scene.ids("wrong") == [2], within=10)
