"""``./gw mutate``: its operators change what a program does, and nothing else."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutate import _PATHS, Reached, _files, _reasons
from tests.mutations import Mutation, mutations

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ("x = a == b", {"x = a != b"}),
        ("x = a < b", {"x = a <= b"}),
        ("x = a < now", {"x = a > now"}),
        ("x = a in b", {"x = a not in b"}),
        ("x = a is None", {"x = a is not None"}),
        ("x = a and b", {"x = (a) or (b)", "x = a", "x = b"}),
        ("x = not a", {"x = a"}),
        ("x = a + b", {"x = a - b"}),
        ("def f(): g(a, 1)", {"def f(): pass", "def f(): g(a, 2)"}),
        ("_LIMIT = timedelta(minutes=10)", set()),
        ("_LIMITS: Final = (1, not a)", {"_LIMITS: Final = (1, a)"}),
        ("x = True", {"x = False"}),
        ("x = a.lower()", {"x = a"}),
        ("x = sorted(a)", {"x = a"}),
        ("f(a)", {"pass"}),
        ("raise f", {"pass"}),
        ("x = [a for a in b if a]", {"x = [a for a in b if True]"}),
        ("x = a if b else c", {"x = a if True else c", "x = a if False else c"}),
        ("if a: b = c", {"if True: b = c", "if False: b = c"}),
        ("def f(): return a", {"def f(): return None"}),
        ("def f(): return False", {"def f(): return True"}),
        ("x = 'ü' + a", {"x = 'ü' - a"}),
        ("x: int = a", set()),
        ("import a", set()),
        ("'a docstring'", set()),
        ("__all__ = ['a' + 'b']", set()),
        ("def f(a: b | c): pass", set()),
    ],
)
def test_each_operator_makes_these_changes(line: str, changed: set[str]) -> None:
    assert {one.after for one in mutations(f"{line}\n")} == changed


def test_what_runs_once_is_noticed_by_what_uses_it() -> None:
    source = "_A = not a\n_B = (_A, _C)\n\ndef f():\n    return _B\n\n@cache\ndef g():\n    return not b\n\ndef h():\n    g()\n"
    used = {one.line: one.used_at for one in mutations(source)}
    assert used == {1: (2, 5), 5: (), 9: (12,), 12: ()}


def test_a_default_is_noticed_by_what_calls_the_function() -> None:
    source = 'class A:\n    def f(\n        self,\n        a=True,\n    ):\n        """Say."""\n        return a\n'
    assert {one.line: one.used_at for one in mutations(source)} == {4: (7,), 7: ()}
    assert {one.used_at for one in mutations("class A:\n    def f(self, a=True):\n        return a\n") if one.line == 2} == {(3,)}


def test_what_tells_most_of_a_file_in_the_shortest_time_is_run_first() -> None:
    reached = Reached({"broad": 0.1, "narrow": 0.1, "slow": 9.0, "on postgresql": 0.1})
    for test, lines in (("broad", [1]), ("narrow", [1, 2, 3]), ("slow", [1, 2, 3]), ("on postgresql", [1, 2, 3, 4])):
        reached.add("a.py", lines, test)
    reached.add("other.py", [1, 2, 3, 4, 5], "broad")
    assert reached.of("a.py", Mutation(line=1, before="", after="", source="")) == ["narrow", "broad", "slow", "on postgresql"]


@pytest.mark.parametrize("path", ["plugins/gatewayd_sql/changes.py", "gatewayd/importing/settling.py"])
def test_every_change_is_a_program_and_another_one(path: str) -> None:
    source = (ROOT / path).read_text()
    before = ast.dump(ast.parse(source))
    for one in mutations(source):
        assert ast.dump(ast.parse(one.source)) != before


def test_what_is_mutated_by_default_is_there() -> None:
    assert len(list(_files(_PATHS))) >= len(_PATHS)


def test_each_reason_is_of_a_change_that_is_still_made() -> None:
    made = {(path, str(one)) for path in {name for name, _ in _reasons()} for one in mutations((ROOT / path).read_text())}
    assert _reasons() <= made
