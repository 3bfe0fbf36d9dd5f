"""What ``./gw mutate [PATH ...]`` runs: changes lines one by one, and says which changes no test notices.

First all unit and plugin tests run once, to learn which of them reach which line (``--learnt FILE`` keeps that for the next time).
Then, for each change, those that reach the line run in a copy of the tree until one fails. A change that none notices is a survivor:
a test is missing, or the line is not needed, or the change means the same. What means the same stands in ``tests/survivors.txt`` with its reason; any other survivor fails the run.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from importlib.util import cache_from_source
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

from coverage.numbits import numbits_to_nums

from tests.mutation_runner import GRACE, NOT_HERE, TOO_LONG, Answer, Request, answered, written
from tests.mutations import Mutation, mutations

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).parent.parent
REASONS = ROOT / "tests" / "survivors.txt"
#: Custody, ledger, leases, outbox and policy: where a survivor could lose or double a mail.
_PATHS = (
    "gatewayd/importing",
    "gatewayd/outgoing/outbox.py",
    "gatewayd/outgoing/parcels.py",
    "gatewayd/outgoing/policy.py",
    "gatewayd/outgoing/result_committer.py",
    "gatewayd/desk/sending_rules.py",
    "gatewayd/scheduler/leases.py",
    "gatewayd/scheduler/account_states.py",
    "gatewayd/scheduler/event_handlers.py",
    "plugins/gatewayd_sql/ledger.py",
    "plugins/gatewayd_sql/pages.py",
    "plugins/gatewayd_sql/changes.py",
    "plugins/gatewayd_sql/filing.py",
    "plugins/gatewayd_sql/batch.py",
    "plugins/gatewayd_sql/leases.py",
    "plugins/gatewayd_sql/outbox.py",
    "plugins/gatewayd_sql/entering.py",
    "plugins/gatewayd_sql/auditing.py",
)
_TESTS = ("tests/unit", "tests/plugins")
_PYTEST = ("-x", "-q", "-p", "no:cacheprovider", "-m", "not campaign and not alone")
#: By how many tests a line is reached that runs once a process.
_ONCE = os.cpu_count() or 1
#: Seconds that a test takes besides those that are known.
_BEGIN = 0.1


class Reached:
    """Which tests reach which line, and how long they take, as one run of all tests has shown."""

    def __init__(self, seconds: Mapping[str, float]) -> None:
        self._seconds = seconds
        self._tests: dict[tuple[str, int], set[str]] = {}
        self._of_files: dict[str, Mapping[str, float]] = {}

    def add(self, name: str, lines: Sequence[int], test: str) -> None:
        """Add lines of one file, by its name in the tree, that a test reached."""
        for line in lines:
            self._tests.setdefault((name, line), set()).add(test)

    def of(self, name: str, mutation: Mutation) -> list[str]:
        """Return the tests that reach a change, those first that tell most of the file in the shortest time.

        A test tells the more of a file, the more of its lines it reaches that few others do. What runs once, as its module is
        imported or before it is cached, was reached by no test, or by the first of a process: those that reach what uses it are
        taken. Those that need a database server come last: it is started for each change.
        """
        tests = self._tests.get((name, mutation.line), set())
        if len(tests) <= _ONCE:
            tests = tests.union(*(self._tests.get((name, line), ()) for line in mutation.used_at))
        told = self._told(name)
        return sorted(tests, key=lambda test: ("postgresql" in test, -told[test] / (_BEGIN + self._seconds.get(test, 0.0)), test))

    def _told(self, name: str) -> Mapping[str, float]:
        if name not in self._of_files:
            told = defaultdict[str, float](float)
            for (file, _), tests in self._tests.items():
                for test in tests if file == name else ():
                    told[test] += 1 / len(tests)
            self._of_files[name] = told
        return self._of_files[name]


def main(arguments: Sequence[str]) -> int:
    """Try every change; return 0 only if each is noticed or has a reason."""
    parser = argparse.ArgumentParser(prog="gw mutate", description=__doc__)
    parser.add_argument(
        "paths", nargs="*", metavar="PATH", help="files, lines as FILE:LINE, or folders; by default custody and outbox"
    )
    parser.add_argument(
        "--processes", type=int, default=4 * (os.cpu_count() or 1), help="how many changes are tried at a time; tests mostly wait"
    )
    parser.add_argument("--seconds", type=float, default=150, help="for how long the tests of a change may run")
    parser.add_argument("--learnt", type=Path, metavar="FILE", help="where it is kept, or to be kept, which tests reach which line")
    chosen = parser.parse_args(arguments)
    # Where no bytecode is kept, each process that a test starts compiles all of gatewayd anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    work = list(_work(chosen.paths or _PATHS))
    with tempfile.TemporaryDirectory(prefix="gatewayd-mutate-") as folder:
        reached = _reached(chosen.learnt or Path(folder, "coverage"))
        survivors = _tried(work, reached, Path(folder), chosen)
    reasons = _reasons()
    told = [(name, one) for name, one in survivors if (name, str(one)) not in reasons]
    for name, one in told:
        print(f"survivor: {name}:{one.line}: {one}")
    print(f"{len(survivors)} survivors, {len(told)} of them without a reason in {REASONS.relative_to(ROOT)}")
    return 1 if told else 0


def _work(paths: Sequence[str]) -> Iterator[tuple[str, Mutation]]:
    """Yield the changes to be tried, each with the name of its file."""
    for path in paths:
        name, _, line = path.partition(":")
        for file in _files([name]):
            yield from (
                (str(file.relative_to(ROOT)), one) for one in mutations(file.read_text()) if not line or one.line == int(line)
            )


def _files(paths: Sequence[str]) -> Iterator[Path]:
    for path in paths:
        whole = ROOT / path
        if not whole.exists():
            sys.exit(f"gw mutate: there is no {path}")
        yield from sorted(whole.rglob("*.py")) if whole.is_dir() else [whole]


def _reasons() -> set[tuple[str, str]]:
    """Return the survivors that mean the same: a line ``path: before -> after``, then one that begins with spaces: the reason."""
    lines = [line for line in REASONS.read_text().splitlines() if line.strip() and not line.startswith("#")]
    pairs = zip(lines[::2], lines[1::2], strict=True)
    return {(head.partition(": ")[0], head.partition(": ")[2]) for head, reason in pairs if reason.startswith("    ")}


# --- which tests reach a line -------------------------------------------------------------------------------------------


def _reached(data: Path) -> Reached:
    """Run the tests once, unless that is known; return which of them reach which line."""
    if not data.exists():
        _learn(data)
    query = (
        "select file.path, line_bits.numbits, context.context from line_bits"
        " join file on file.id = line_bits.file_id join context on context.id = line_bits.context_id"
    )
    found = Reached(json.loads(_times(data).read_text()))
    with closing(sqlite3.connect(data)) as database:
        for path, bits, context in database.execute(query):
            test = re.sub(r"\|(?:run|setup|teardown)\Z", "", context)
            if test:
                found.add(str(Path(path).relative_to(ROOT)), numbits_to_nums(bits), test)
    return found


def _learn(data: Path) -> None:
    print("gw mutate: running the tests once, to learn which reach which line", flush=True)
    command = [*_python("pytest"), "-q", "-p", "no:cacheprovider", "-m", "not campaign and not alone", *_TESTS]
    counted = ["-p", "tests.mutation_times", "--cov", "--cov-report=", "--cov-context=test", f"--numprocesses={os.cpu_count()}"]
    environment = {**os.environ, "COVERAGE_FILE": str(data), "GATEWAYD_TEST_TIMES": str(_times(data))}
    # A test may fail for the time that it takes to count its lines: what it reaches is known all the same.
    subprocess.run([*command, *counted], cwd=ROOT, env=environment, check=False, timeout=3600)


def _times(data: Path) -> Path:
    return data.with_name(f"{data.name}.times")


# --- trying -------------------------------------------------------------------------------------------------------------


class _Tree:
    """A copy of the tree in which changes are tried one after the other, and the process that has collected its tests."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self._seconds = seconds
        # One that hangs has failed.
        self._pytest = [*_PYTEST, f"--timeout={seconds / 3}"]
        names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
        for name in filter(None, names):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
        self._folder = folder
        paths = f"{folder}{os.pathsep}{folder / 'plugins'}"
        self._environment = {**os.environ, "PYTHONPATH": paths, "HYPOTHESIS_STORAGE_DIRECTORY": str(folder)}
        self._runner, other = socket.socketpair()
        with other:
            command = [*_python("tests.mutation_runner"), str(other.fileno()), *self._pytest, *_TESTS]
            self._process = subprocess.Popen(
                command, cwd=folder, env=self._environment, pass_fds=[other.fileno()], stdout=subprocess.DEVNULL
            )
        self._answers = self._runner.makefile()

    def close(self) -> None:
        self._answers.close()
        self._runner.close()
        self._process.wait(self._seconds)

    def verdict(self, name: str, mutation: Mutation, tests: Sequence[str]) -> tuple[str, str]:
        """Return whether the tests noticed: ``noticed``, ``survived``, or ``unknown`` where none had failed in time; and which did."""
        if not tests:
            return "survived", ""
        file = self._folder / name
        before = file.read_text()
        _write(file, mutation.source)
        try:
            self._runner.sendall(written(Request(file=str(file), before=before, tests=tests, seconds=self._seconds)))
            answer = answered(self._answers.readline())
            if answer.code == NOT_HERE:
                answer = Answer(code=self._afresh(tests))
        finally:
            _write(file, before)
        # Of pytest's codes 1 is a test that failed, 2 a module that could not be imported.
        return {0: "survived", 1: "noticed", 2: "noticed"}.get(answer.code, "unknown"), answer.failed

    def _afresh(self, tests: Sequence[str]) -> int:
        """Have the tests run in a process that imports all anew."""
        chosen = self._folder / "tests.args"
        chosen.write_text("\n".join(tests))
        command = [*_python("pytest"), *self._pytest, f"@{chosen}"]
        with subprocess.Popen(command, cwd=self._folder, env=self._environment, stdout=subprocess.DEVNULL) as process:
            try:
                return process.wait(self._seconds)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGINT)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(GRACE)
                process.kill()
                return TOO_LONG


def _python(module: str) -> list[str]:
    return [sys.executable, "-m", module]


def _tried(
    work: Sequence[tuple[str, Mutation]], reached: Reached, folder: Path, chosen: argparse.Namespace
) -> list[tuple[str, Mutation]]:
    """Try the changes side by side, each in a copy of the tree; return those that no test noticed."""
    trees: SimpleQueue[_Tree] = SimpleQueue()
    for number in range(chosen.processes):
        trees.put(_Tree(folder / str(number), chosen.seconds))
    print(f"gw mutate: {len(work)} changes of {len({name for name, _ in work})} files", flush=True)
    count, survivors = Counter[str](), list[tuple[str, Mutation]]()
    #: By file, the tests that noticed changes there, the last one first: they may well notice the next.
    noticing = defaultdict[str, list[str]](list)

    def one(name: str, mutation: Mutation) -> None:
        tests = reached.of(name, mutation)
        likely = [test for test in noticing[name] if test in set(tests)]
        tree = trees.get()
        try:
            verdict, failed = tree.verdict(name, mutation, list(dict.fromkeys([*likely, *tests])))
        finally:
            trees.put(tree)
        if failed:
            noticing[name] = [failed, *(test for test in noticing[name] if test != failed)]
        count[verdict] += 1
        if verdict != "noticed":
            survivors.append((name, mutation))
            print(f"{verdict}: {name}:{mutation.line} ({len(tests)} tests): {mutation}", flush=True)
        if count.total() % 50 == 0:
            print(f"gw mutate: {count.total()} of {len(work)}, {len(survivors)} not noticed", flush=True)

    with ThreadPoolExecutor(chosen.processes) as pool:
        list(pool.map(lambda each: one(*each), work))
    for _ in range(chosen.processes):
        trees.get().close()
    print("gw mutate:", ", ".join(f"{number} {verdict}" for verdict, number in sorted(count.items())), flush=True)
    return sorted(survivors, key=lambda each: (each[0], each[1].line))


def _write(file: Path, source: str) -> None:
    file.write_text(source)
    # Python takes a compiled file for the source's where size and second are the same.
    Path(cache_from_source(str(file))).unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
