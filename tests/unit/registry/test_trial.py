"""Plugins are tried in processes of their own: whatever an import does costs that plugin alone, and is said in a few words."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatewayd import PluginError
from gatewayd.api.roles import Matcher
from gatewayd.registry import loading
from gatewayd.registry.loading import LEFT_OUT, Trials
from gatewayd.registry.trial import cache
from tests.unit.registry.test_loading import GOOD, loaded, write
from tests.unit.supervised import until

if TYPE_CHECKING:
    from collections.abc import Mapping


def sound(kind: str, before: str = "") -> str:
    return f"{before}\n{GOOD.replace('vouchers', kind)}"


#: What an import does, and how that is told.
WRONG: Mapping[str, tuple[str, str]] = {
    "exits": ("import os; os._exit(3)", "it ends the process when it is imported, with exit code 3"),
    "ends": ("import os; os._exit(0)", "it ends the process when it is imported, with exit code 0"),
    "leaves": ("raise SystemExit(3)", "it exits when it is imported: 3"),
    "interrupts": ("raise KeyboardInterrupt", "KeyboardInterrupt: (interrupts.py:1)"),
    "crashes": ("import ctypes; ctypes.string_at(0)", "its import is ended by signal 11 (SIGSEGV) (crashes.py:1)"),
    "aborts": ("\nimport os; os.abort()", "its import is ended by signal 6 (SIGABRT) (aborts.py:2)"),
    "kills": ("import os; os.kill(os.getpid(), 9)", "its import is ended by signal 9 (SIGKILL)"),
    "recurses": ("def f(): f()\nf()", "RecursionError: maximum recursion depth exceeded (recurses.py:1)"),
    "allocates": ("x = bytearray(1 << 40)", "MemoryError: (allocates.py:1)"),
    "closes": ("import os; os.closerange(0, 200)", "when it is imported"),
    "thread": (
        "import threading, time; threading.Thread(target=time.sleep, args=(999,), daemon=True).start()",
        "it leaves the thread",
    ),
    "child": ("import subprocess; subprocess.Popen(['sleep', '99'])", "it leaves a process behind"),
    "forks": ("import os, time\nif os.fork() == 0: time.sleep(99)", "it leaves a process behind"),
    "signals": ("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)", "it changes the handlers of signals"),
    "alarm": ("import signal; signal.alarm(99)", "it sets an alarm"),
    "chdir": ("import os; os.chdir('/')", "it changes the working folder"),
    "umask": ("import os; os.umask(0)", "it changes the umask"),
    "limits": ("import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))", "it changes the limits of the process"),
    "stdout": ("import os, sys; sys.stdout = open(os.devnull, 'w')", "it replaces or closes standard input, output or error"),
    "log": ("import logging; logging.basicConfig()", "it changes the log of the process"),
    "hooks": ("import sys; sys.excepthook = print", "it sets a hook of Python's"),
    "deep": ("import sys; sys.setrecursionlimit(10 ** 9)", "it changes how deep Python recurses"),
    "zone": ("import os, time; os.environ['TZ'] = 'Asia/Tokyo'; time.tzset()", "it changes the time zone"),
    "socket": ("import socket; socket.setdefaulttimeout(3)", "it sets a timeout for all sockets"),
    "garbage": ("import gc; gc.disable()", "it changes the collector of garbage"),
    "environment": ("import os; del os.environ['PATH']", "it changes the environment of the process"),
    "warnings": ("import warnings; warnings.simplefilter('error')", "it turns warnings into errors"),
    "debugs": ("import imaplib; imaplib.Debug = 4", "it has a library print what it says to servers"),
    "prints": ("import smtplib; smtplib.SMTP.debuglevel = 1", "it has a library print what it says to servers"),
    "patches": ("import json; json.loads = print", "it replaces json.loads, which others use"),
    "methods": ("import socket; socket.socket.connect = lambda *_: 1", "it puts its own into socket.socket.connect"),
    "later": ("import smtplib; smtplib.SMTP.send = lambda *_: 1", "it puts its own into smtplib.SMTP.send"),
    "ours": ("from gatewayd import Mail; Mail.text = property(lambda _: '')", "it replaces gatewayd.message.mail.Mail.text"),
    "builtins": ("import builtins; builtins.open = None", "it replaces builtins.open"),
    "modules": ("import sys; sys.modules['json'] = sys", "it replaces the module json"),
    "syntax": ("x = 1\n" * 16 + "y = = 2", "SyntaxError: invalid syntax (syntax.py:17)"),
    "nul": ("x = '\0'", "source code string cannot contain null bytes"),
}
#: What an import does that does not come to its end, and the line where it is by then.
HANGS = {
    "sleeps": ("import time\ntime.sleep(100000)", 2),
    "loops": ("\n\nwhile True: pass", 3),
    "stops": ("import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)", 0),
}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> loading.Registry:
    folder = tmp_path_factory.mktemp("plugins")
    before, modules, threads = Path.cwd(), set(sys.modules), set(threading.enumerate())
    found = loading.load(
        write(folder, good=sound("fine"), **{name: sound(name, does) for name, (does, _) in WRONG.items()}),
        tries=Trials(seconds=60),
    )
    assert Path.cwd() == before
    assert set(threading.enumerate()) <= threads
    # Nothing of them was imported here.
    assert not {name for name in set(sys.modules) - modules if name.startswith("gatewayd_plugin_")}
    return found


@pytest.mark.parametrize("name", WRONG)
def test_P4_whatever_an_import_does_costs_that_plugin_alone(registry: loading.Registry, name: str) -> None:
    assert WRONG[name][1] in loaded(registry, name).error
    assert not loaded(registry, "good").error
    assert registry.get(Matcher, "fine").kind == "fine"


def test_P4_an_import_that_does_not_end_is_ended_and_says_where_it_is(tmp_path: Path) -> None:
    write(tmp_path, good=sound("fine"), **{name: sound(name, does) for name, (does, _) in HANGS.items()})
    found = loading.load(tmp_path, tries=Trials(seconds=3))
    for name, (_, line) in HANGS.items():
        at = f" ({name}.py:{line})" if line else ""
        assert loaded(found, name).error == f"it was not imported within 3 s (plugins.deadline){at}"
    assert found.get(Matcher, "fine")


@pytest.mark.parametrize("does", ["9); time.sleep(0.5", "19", "9); os._exit(3"])
def test_P4_a_plugin_that_ends_what_all_are_forked_from_costs_itself_alone(does: str, tmp_path: Path) -> None:
    wrong = sound("wrong", f"import os, time; os.kill(os.getppid(), {does})")
    write(
        tmp_path,
        a_wrong=wrong,
        **{f"good_{number}": sound(f"fine-{number}", "import time; time.sleep(0.2)") for number in range(6)},
    )
    found = loading.load(tmp_path, tries=Trials(seconds=60))
    assert "that all are forked from" in loaded(found, "a_wrong").error
    assert [loaded(found, f"good_{number}").error for number in range(6)] == [""] * 6
    assert found.get(Matcher, "fine-5")


PENDING = """
import os, signal
from gatewayd.registry.trial.process_state import _parent
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTSTP])
for number in (0, signal.SIGTSTP):
    os.kill(os.getpid(), number)
    if not os.fork():
        os.write(1, f"{_parent()[1]} ".encode())
        os._exit(0)
    os.wait()
"""


def test_P4_what_is_about_to_be_stopped_is_known_before_it_is() -> None:
    done = subprocess.run([sys.executable, "-c", PENDING], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_a_trial_that_never_began_says_nothing_of_the_plugin_and_is_not_remembered(tmp_path: Path) -> None:
    folder, file = tmp_path / "plugins", tmp_path / "trials"
    folder.mkdir()
    # Of another plugin it is known what becomes of it.
    write(folder, begun=sound("begun"))
    # More than there can be: the process ends before it has imported anything.
    error = loaded(loading.load(folder, tries=Trials(memory=1 << 80, file=file)), "begun").error
    assert error == "it can't be tried: no process can be started"
    assert not loaded(loading.load(folder, tries=Trials(file=file)), "begun").error


def test_a_place_has_line_and_column(registry: loading.Registry) -> None:
    at = loaded(registry, "syntax").spot
    assert at is not None
    assert (Path(at.file).name, at.line, at.column) == ("syntax.py", 17, 5)


def test_libraries_may_be_imported(tmp_path: Path) -> None:
    libraries = (
        "asyncio, concurrent.futures, csv, ctypes, decimal, email.policy, http.server, logging.config, multiprocessing, random, sqlite3, "
        "ssl, statistics, unittest.mock, urllib.request, uuid, xml.etree.ElementTree, zoneinfo, click, rich.console, sqlalchemy.orm, yaml"
    )
    quick = "import threading; threading.Thread(target=print).start()"
    found = loading.load(write(tmp_path, large=sound("large", f"import {libraries}\n{quick}")), tries=Trials(seconds=60))
    assert loaded(found, "large").error == ""


# --- what is imported here ----------------------------------------------------------------------------------------------


def test_only_what_is_asked_for_is_imported_here(tmp_path: Path) -> None:
    note = tmp_path / "imported"
    notes = f"import os\nwith open({str(note)!r}, 'a') as file: print(__file__, os.getpid(), file=file)"
    write(tmp_path, one=sound("one", notes), two=sound("two", notes))
    found = loading.load(tmp_path)
    assert {"one", "two"} <= set(found.kinds(Matcher))
    assert not [line for line in note.read_text().splitlines() if line.endswith(f" {os.getpid()}")]
    assert found.get(Matcher, "one") is found.get(Matcher, "one")
    here = [line for line in note.read_text().splitlines() if line.endswith(f" {os.getpid()}")]
    assert [Path(line.split()[0]).name for line in here] == ["one.py"]


def test_what_an_import_prints_is_no_part_of_what_a_command_says(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, loud=sound("loud", "import os\nprint('printed', flush=True)\nos.write(1, b'written')"))
    print("before")
    assert loading.load(tmp_path).get(Matcher, "loud")
    print("after")
    out, err = capfd.readouterr()
    assert out == "before\nafter\n"
    assert "printed" in err
    assert "written" in err


def test_P4_a_plugin_that_is_another_here_than_in_its_trial_is_out_of_use_and_no_other(tmp_path: Path) -> None:
    here = f"import os\nif os.getpid() == {os.getpid()}: "
    write(
        tmp_path,
        good=sound("fine"),
        raising=sound("raising", here + "raise ValueError('here')"),
        changing=sound("changing", here + "Matcher = 7"),
    )
    (tmp_path / "changing.py").write_text(
        sound("changing").replace('"changing"', f'"changing" if __import__("os").getpid() != {os.getpid()} else "x"')
    )
    found = loading.load(tmp_path)
    with pytest.raises(PluginError, match=r"raising is out of use: ValueError: here \(raising.py:2\)"):
        found.get(Matcher, "raising")
    with pytest.raises(PluginError, match="changing is out of use: it offers something else than when it was tried"):
        found.get(Matcher, "changing")
    assert "raising" in found.kinds(Matcher)
    assert [one.kind for one in found.classes(Matcher) if one.kind in {"raising", "changing", "fine"}] == ["fine"]


# --- names --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["left", "left.py"])
def test_a_plugin_can_be_left_out_and_is_not_even_tried(tmp_path: Path, word: str) -> None:
    write(tmp_path, left=sound("left", "import time; time.sleep(10 ** 6)"), other=sound("other"))
    said: list[str] = []
    found = loading.load(tmp_path, without=[word], tries=Trials(say=lambda name, _: said.append(name)))
    assert loaded(found, "left").error == LEFT_OUT
    assert "left" not in found.kinds(Matcher)
    assert "left" not in said
    assert "other" in found.kinds(Matcher)


def test_a_file_called_like_a_plugin_of_gatewayds_own_is_told_to_take_another_name(tmp_path: Path) -> None:
    found = loading.load(write(tmp_path, imap=sound("mine"), csv=sound("other")))
    for name in ("imap", "csv"):
        (error,) = [one.error for one in found.plugins if one.name == name and one.path]
        assert re.fullmatch(
            rf"there is a plugin '{name}' already, of gatewayd \S+: give the file another name, or leave one of them out "
            rf"\(plugins.without: \[{name}.py\]\)",
            error,
        )


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "huge.py").write_bytes(b"#" * (5 << 20))
    (tmp_path / "gone.py").symlink_to("nowhere.py")
    (tmp_path / "folder.py").mkdir()
    found = loading.load(tmp_path)
    assert "Not a regular file" in loaded(found, "pipe").error
    assert "it is larger than 4 MiB" in loaded(found, "huge").error
    assert "FileNotFoundError" in loaded(found, "gone").error
    assert loaded(found, "folder").error.endswith("folder.py'")


# --- who waits ----------------------------------------------------------------------------------------------------------


def test_it_is_said_what_is_tried_before_it_is(tmp_path: Path) -> None:
    write(tmp_path, sleeps=sound("sleeps", "import time; time.sleep(10 ** 6)  # said"))
    said: list[tuple[str, str]] = []

    def go_on() -> None:
        # It is there, under the name that people see it by.
        if said and _trials():
            raise InterruptedError

    began = time.monotonic()
    with pytest.raises(InterruptedError):
        loading.load(tmp_path, tries=Trials(seconds=600, say=lambda *what: said.append(what), go_on=go_on))
    assert said == [("sleeps", str(tmp_path / "sleeps.py"))]
    assert time.monotonic() - began < 60
    until(lambda: not _trials())


def _trials() -> list[str]:
    """The processes of ours that try a plugin."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
            name = path.with_name("comm").read_text()
            parent = Path("/proc", fields[1], "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue
        # Ours are children of a child of ours.
        if fields[0] != "Z" and parent == str(os.getpid()) and name.strip() == "gatewayd.trial":
            found.append(path.parent.name)
    return found


# --- what is remembered -------------------------------------------------------------------------------------------------


def _tried(folder: Path, file: Path | None, *, again: bool = False) -> list[str]:
    """The plugins that had to be tried."""
    said: list[str] = []
    # As the next process remembers nothing of itself.
    cache._known.clear()
    loading.load(folder, tries=Trials(file=file, again=again, say=lambda name, _: said.append(name)))
    return sorted(name for name in said if name in {"fine", "faulty"})


def test_what_did_not_change_is_not_tried_again_by_other_processes(tmp_path: Path) -> None:
    folder, file = tmp_path / "plugins", tmp_path / "plugins.json"
    folder.mkdir()
    write(folder, fine=sound("fine", "# remembered"), faulty=sound("faulty", "1/0"))
    assert _tried(folder, file) == ["faulty", "fine"]
    assert _tried(folder, file) == []
    assert oct(file.stat().st_mode & 0o777) == "0o600"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["plugins", "plugins.json"]
    # What is of no use may be mended by what is beside it.
    assert _tried(folder, file, again=True) == ["faulty"]
    write(folder, fine=sound("fine", "# changed"))
    assert _tried(folder, file) == ["fine"]
    rows = json.loads(file.read_text())
    old = {key: [row, at - 700] for key, (row, at) in rows.items()}
    file.write_text(json.dumps(old))
    assert _tried(folder, file) == ["faulty"]


@pytest.mark.parametrize("text", ["", "[]", "7", '{"a": 1}', "nonsense", "[" * 100_000, '{"x": [{"words": 7}, 1]}'])
def test_a_memory_that_makes_no_sense_is_as_good_as_none(tmp_path: Path, text: str) -> None:
    folder, file = tmp_path / "plugins", tmp_path / "plugins.json"
    folder.mkdir()
    write(folder, fine=sound("fine"))
    file.write_text(text)
    assert _tried(folder, file) == ["fine"]
    assert _tried(folder, file) == []


def test_where_nothing_can_be_remembered_it_is_tried_each_time(tmp_path: Path) -> None:
    write(tmp_path, fine=sound("fine"))
    os.mkfifo(tmp_path / "pipe.json")
    for file in (tmp_path / "missing" / "plugins.json", tmp_path / "fine.py" / "plugins.json", None):
        assert _tried(tmp_path, file) == ["fine"]
        assert _tried(tmp_path, file) == ["fine"]
    assert _tried(tmp_path, tmp_path / "pipe.json") == ["fine"]


def test_a_fault_that_is_remembered_stands_in_the_file_that_is_asked_about(tmp_path: Path) -> None:
    broken = f"def broken(:  # of {tmp_path}\n"
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        spot = loaded(loading.load(write(folder, faulty=broken)), "faulty").spot
        assert spot is not None
        assert (spot.file, spot.line, spot.column) == (str(folder / "faulty.py"), 1, 12)
