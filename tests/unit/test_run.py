"""What ./gw test runs its steps with: what hangs is ended, and nothing else."""

from __future__ import annotations

import time

import pytest

from tests.patience import AT_ONCE, LONG
from tests.run import step


def test_a_step_is_shown_while_it_runs_and_says_how_it_ended(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert step("greeting", ["-c", "print('hello')"])
    said = capfdbinary.readouterr().out
    assert said.startswith(b"== greeting\nhello\n== greeting: ok (")
    assert not step("failing", ["-c", "import sys; print('on error', file=sys.stderr); sys.exit(3)"])
    said = capfdbinary.readouterr().out
    assert said.startswith(b"== failing\non error\n== failing: FAILED (")


def test_a_step_aside_is_shown_in_one_piece(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert step("aside", ["-c", "print('hello')"], aside=True)
    assert capfdbinary.readouterr().out.startswith(b"\n== aside\nhello\n== aside: ok (")


def test_a_step_that_goes_on_speaking_may_take_as_long_as_it_likes(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    code = "import time\nfor _ in range(8):\n    print('.', end='', flush=True)\n    time.sleep(1)"
    began = time.monotonic()
    assert step("long", ["-c", code], silence=5)
    assert time.monotonic() - began > 5
    assert b"........" in capfdbinary.readouterr().out


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_step_that_says_nothing_is_ended(
    capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch, *, stubborn: bool
) -> None:
    monkeypatch.setattr("tests.run._PATIENCE", 1 if stubborn else AT_ONCE)
    ignoring = "signal.signal(signal.SIGINT, signal.SIG_IGN)" if stubborn else "None"
    began = time.monotonic()
    assert not step("hanging", ["-c", f"import signal, time\n{ignoring}\nprint('so far', flush=True)\ntime.sleep(600)"], silence=3)
    assert time.monotonic() - began < LONG
    said = capfdbinary.readouterr().out
    assert b"so far\n" in said
    assert b"== hanging: FAILED: it was ended, since it had said nothing for 3 s (" in said


def test_what_a_step_leaves_behind_is_not_waited_for() -> None:
    code = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])"
    began = time.monotonic()
    assert step("leaving", ["-c", code])
    assert time.monotonic() - began < AT_ONCE
