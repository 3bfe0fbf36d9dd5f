"""What the daemon's main thread waits for: signals and changed files, also where a folder comes and goes."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from gatewayd.config import load
from gatewayd.daemon.main_wait import MainWait
from tests.e2e.house import House, until
from tests.patience import LONG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from gatewayd.config import Config


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("operators", "accounts"):
        (tmp_path / "config" / name).mkdir(parents=True)
    (tmp_path / "config/gatewayd.yaml").write_text(f"state: {tmp_path / 'state'}\n")
    return tmp_path / "config"


def events(config: Config, read_at: float, steps: Sequence[Callable[[], object]], *, slow: float = 0.0) -> list[str]:
    """What comes of steps that are done half a second apart, until SIGTERM; each reload takes ``slow`` seconds."""

    def work() -> None:
        for step in steps:
            time.sleep(0.6)
            step()
        time.sleep(1.2)
        os.kill(os.getpid(), signal.SIGTERM)

    said: list[str] = []
    with MainWait(read_at) as waiting:
        thread = threading.Thread(target=work)
        thread.start()
        for event in waiting.events(lambda: config, 0.3):
            said.append(event)
            time.sleep(slow if event == "reload" else 0)
        thread.join()
    assert waiting.why == "SIGTERM"
    return said


@contextmanager
def handlers_stay() -> Iterator[None]:
    before = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)]
    yield
    assert [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)] == before


def test_it_looks_now_and_then_and_ends_at_once(folder: Path) -> None:
    with handlers_stay():
        said = events(load(folder), time.time() + 1, [])
    assert set(said) == {"look"}
    assert 2 <= len(said) <= 8


def test_changes_and_signals_are_reloads_and_what_editors_leave_is_none(folder: Path) -> None:
    assert events(load(folder), time.time() + 1, [lambda: (folder / "accounts/a.yaml").write_text("x")]).count("reload") == 1
    assert events(load(folder), time.time() + 1, [lambda: os.kill(os.getpid(), signal.SIGHUP)]).count("reload") == 1
    assert events(load(folder), time.time() + 1, [lambda: (folder / "accounts/a.yaml~").write_text("x")]).count("reload") == 0
    assert events(load(folder), time.time() + 1, [(folder / "accounts/a.yaml").unlink]).count("reload") == 1


def test_what_changed_after_it_was_read_and_before_it_was_watched_is_no_less_a_change(folder: Path) -> None:
    config, read_at = load(folder), time.time()
    time.sleep(0.1)
    (folder / "operators/a.yaml").write_text("x")
    assert events(config, read_at, []).count("reload") == 1
    # While others read it, too.
    steps = [lambda: (folder / "operators/b.yaml").write_text("x"), lambda: (folder / "operators/c.yaml").write_text("x")]
    assert events(config, time.time() + 1, steps, slow=1.0).count("reload") == 2


def test_a_folder_that_goes_and_comes_back_is_watched_again(folder: Path) -> None:
    config = load(folder)
    steps = [
        lambda: shutil.rmtree(folder),
        lambda: shutil.copytree(folder.with_name("kept"), folder),
        lambda: None,
        lambda: (folder / "accounts/a.yaml").write_text("x"),
    ]
    shutil.copytree(folder, folder.with_name("kept"))
    said = events(config, time.time(), steps)
    assert said.count("reload") >= 2
    assert "reload" in said[-8:]


def test_where_nothing_can_be_watched_times_are_compared(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, gone = load(folder), folder.with_name("gone")
    time.sleep(0.2)
    # A folder that is gone between the question which there are and the watch.
    monkeypatch.setattr("gatewayd.daemon.main_wait.watched", lambda _: (folder / "accounts", gone))
    said = events(config, time.time(), [lambda: (folder / "accounts/a.yaml").write_text("x")])
    assert said.count("reload") == 1
    assert "look" in said


def test_a_SIGHUP_that_comes_while_the_daemon_starts_is_a_reload_and_no_end(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.operator("acme")
    house.write("plugins/slow.py", "import time\n\ntime.sleep(2)\n")
    with house.daemon("-m", "gatewayd", ready=False) as daemon:
        until("the config is being read", LONG, lambda: "slow" in daemon.log or None)
        daemon.signal(signal.SIGHUP)
        daemon.ready(LONG)
        until("it is read once more", LONG, lambda: daemon.log.count("config loaded") > 1 or None)
