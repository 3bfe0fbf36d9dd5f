"""The process in which ``./gw mutate`` tries changes."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.mutation_runner import NOT_HERE, TOO_LONG, Answer, Request, answered, exchanged, functions, written

if TYPE_CHECKING:
    from types import ModuleType

_SOURCE = """
from contextlib import contextmanager

LIMIT = 5
EVEN = [one for one in range(LIMIT) if one % 2 == 0]

def answer(value=6):
    return value + 1

@contextmanager
def held(log):
    log.append("in")
    yield
    log.append("out")

def doubled(found):
    def twice(one):
        return found(one) + found(one)

    return lambda one: twice(found)(one) if callable(one) else twice(one)

@doubled
def plain(one):
    return one

BOTH = {"less": lambda one: one - 1, "more": lambda one: one + 1}

class Base:
    def name(self):
        return "base"

class Derived(Base):
    kind = "derived"

    def name(self):
        return super().name() + "!"

    @property
    def double(self):
        return [one * 2 for one in (1, 2)]
"""


def _imported(file: Path) -> ModuleType:
    file.write_text(_SOURCE)
    spec = importlib.util.spec_from_file_location("changed", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _exchanged(file: Path, old: str, new: str) -> bool:
    assert old in _SOURCE
    known = functions()
    file.write_text(_SOURCE.replace(old, new))
    return exchanged(Request(file=str(file), before=_SOURCE, tests=(), seconds=1), known)


@pytest.mark.parametrize(
    ("old", "new", "asked", "answer"),
    [
        ("value + 1", "value - 1", "module.answer()", 5),
        pytest.param(
            "value + 1",
            "(value\n    + 2)",
            "module.answer()",
            8,
            marks=pytest.mark.skipif(sys.version_info >= (3, 13), reason="a class knows its line, which is another one then"),
        ),
        ('return "base"', "return None", "module.Base().name()", None),
        ("one * 2", "one + 2", "module.Derived().double", [3, 4]),
        ('log.append("out")', "pass", "log(module)", ["in"]),
    ],
)
def test_a_function_is_changed_where_it_is(tmp_path: Path, old: str, new: str, asked: str, answer: object) -> None:
    def log(module: ModuleType) -> list[str]:
        said: list[str] = []
        with module.held(said):
            pass
        return said

    module = _imported(tmp_path / "changed.py")
    assert _exchanged(tmp_path / "changed.py", old, new)
    assert eval(asked, {"module": module, "log": log}) == answer


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 5", "LIMIT = 6"),
        ("one % 2 == 0", "one % 2 != 0"),
        ("value=6", "value=7"),
        ('kind = "derived"', 'kind = "other"'),
        ("super().name()", "self.kind"),
        ("@property", ""),
        ("twice(found)", "found"),
        ("one - 1", "one - 2"),
    ],
)
def test_what_is_outside_of_functions_is_not_changed_here(tmp_path: Path, old: str, new: str) -> None:
    module = _imported(tmp_path / "changed.py")
    assert not _exchanged(tmp_path / "changed.py", old, new)
    assert module.Derived().name() == "base!"


def test_a_change_is_noticed_or_not_and_never_for_ever(tmp_path: Path) -> None:
    module = tmp_path / "counting.py"
    module.write_text("def more(count):\n    return count + 1\n")
    (tmp_path / "test_counting.py").write_text(
        "from counting import more\ndef test_of_one():\n    assert more(1) == 2\ndef test_of_none():\n    assert more(0)\n"
    )
    every = ("test_counting.py::test_of_none", "test_counting.py::test_of_one")
    ours, other = socket.socketpair()
    command = [
        sys.executable,
        "-m",
        "tests.mutation_runner",
        str(other.fileno()),
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        str(tmp_path),
    ]
    paths = os.pathsep.join([str(tmp_path), str(Path(__file__).parent.parent)])
    with ours, other, ours.makefile() as answers:
        runner = subprocess.Popen(
            command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths}, pass_fds=[other.fileno()], stdout=subprocess.DEVNULL
        )
        other.close()

        def answer(after: str, tests: tuple[str, ...] = every, seconds: float = 30) -> Answer:
            before = module.read_text()
            module.write_text(before.replace("count + 1", after))
            ours.sendall(written(Request(file=str(module), before=before, tests=tests, seconds=seconds)))
            line = answers.readline()
            module.write_text(before)
            return answered(line)

        assert answer("count + 1") == Answer(code=0)
        assert answer("count + 2") == Answer(code=1, failed=every[1])
        assert answer("count + 2", every[:1]) == Answer(code=0)
        assert answer("1 if count else __import__('time').sleep(60)", seconds=1).code == TOO_LONG
        module.write_text("from time import time\n" + module.read_text())
        assert answer("count + time()\n\nWHEN = time()") == Answer(code=NOT_HERE)
    begun = time.monotonic()
    assert runner.wait(30) == 0, f"after {time.monotonic() - begun:.0f} s"
