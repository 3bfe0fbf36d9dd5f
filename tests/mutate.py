"""What ``./gw mutate [PATH ...]`` runs: changes lines one by one, and says which changes no test notices.

First all unit and plugin tests run once, to learn which of them reach which line. Then, for each change, those that reach the line
run in a copy of the tree until one fails. A change that none notices is a survivor: a test is missing, or the line is not needed, or
the change means the same. What means the same stands in ``tests/survivors.txt`` with its reason; any other survivor fails the run.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from importlib.util import cache_from_source
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

from coverage.numbits import numbits_to_nums

from tests.mutations import Mutation, mutations

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parent.parent
REASONS = ROOT / "tests" / "survivors.txt"
#: Custody, ledger, leases, outbox and policy: where a survivor could lose or double a mail.
_PATHS = (
    "gatewayd/listing.py",
    "gatewayd/batch.py",
    "gatewayd/rematch.py",
    "gatewayd/visit",
    "gatewayd/outbox",
    "gatewayd/desk/allowed.py",
    "gatewayd/supervisor/leases.py",
    "gatewayd/supervisor/owning.py",
    "gatewayd/supervisor/charges.py",
    "plugins/gatewayd_sql/ledger.py",
    "plugins/gatewayd_sql/changes.py",
    "plugins/gatewayd_sql/filing.py",
    "plugins/gatewayd_sql/leases.py",
    "plugins/gatewayd_sql/outbox.py",
    "plugins/gatewayd_sql/entering.py",
    "plugins/gatewayd_sql/auditing.py",
)
_TESTS = ("tests/unit", "tests/plugins")
#: Seconds for the tests of one change; a change that makes them hang is noticed.
_LONGEST = 300


class Reached:
    """Which tests reach which line, as one run of all tests has shown."""

    def __init__(self) -> None:
        self._tests: dict[tuple[str, int], set[str]] = {}
        self._width = Counter[str]()

    def add(self, name: str, lines: Sequence[int], test: str) -> None:
        """Add lines of one file, by its name in the tree, that a test reached."""
        self._width[test] += len(lines)
        for line in lines:
            self._tests.setdefault((name, line), set()).add(test)

    def of(self, name: str, line: int) -> list[str]:
        """Return the tests that reach a line; first those that reach few lines, which are quick and notice most."""
        return sorted(self._tests.get((name, line), ()), key=lambda test: (self._width[test], test))


def main(arguments: Sequence[str]) -> int:
    """Try every change; return 0 only if each is noticed or has a reason."""
    parser = argparse.ArgumentParser(prog="gw mutate", description=__doc__)
    parser.add_argument("paths", nargs="*", metavar="PATH", help="files or folders; by default custody, ledger, leases and outbox")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="how many changes are tried at a time")
    chosen = parser.parse_args(arguments)
    # Where no bytecode is kept, each process that a test starts compiles all of gatewayd anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    files = list(_files(chosen.paths or _PATHS))
    with tempfile.TemporaryDirectory(prefix="gatewayd-mutate-") as folder:
        reached = _reached(Path(folder))
        survivors = _tried(files, reached, Path(folder), chosen.processes)
    reasons = _reasons()
    told = [(name, one) for name, one in survivors if (name, str(one)) not in reasons]
    for name, one in told:
        print(f"survivor: {name}:{one.line}: {one}")
    print(f"{len(survivors)} survivors, {len(told)} of them without a reason in {REASONS.relative_to(ROOT)}")
    return 1 if told else 0


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


def _reached(folder: Path) -> Reached:
    """Run the tests once; return which of them reach which line."""
    data = folder / "coverage"
    print("gw mutate: running the tests once, to learn which reach which line", flush=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not campaign and not alone", *_TESTS]
    counted = ["--cov", "--cov-report=", "--cov-context=test", f"--numprocesses={os.cpu_count()}"]
    subprocess.run([*command, *counted], cwd=ROOT, env={**os.environ, "COVERAGE_FILE": str(data)}, check=True, timeout=3600)
    query = (
        "select file.path, line_bits.numbits, context.context from line_bits"
        " join file on file.id = line_bits.file_id join context on context.id = line_bits.context_id"
    )
    found = Reached()
    with closing(sqlite3.connect(data)) as database:
        for path, bits, context in database.execute(query):
            test = re.sub(r"\|(?:run|setup|teardown)\Z", "", context)
            if test:
                found.add(str(Path(path).relative_to(ROOT)), numbits_to_nums(bits), test)
    return found


# --- trying -------------------------------------------------------------------------------------------------------------


def _tried(files: Sequence[Path], reached: Reached, folder: Path, processes: int) -> list[tuple[str, Mutation]]:
    """Try the changes of the files side by side, each in a copy of the tree; return those that no test noticed."""
    copies: SimpleQueue[Path] = SimpleQueue()
    for number in range(processes):
        copies.put(_copy(folder / str(number)))
    work = [(str(file.relative_to(ROOT)), one) for file in files for one in mutations(file.read_text())]
    print(f"gw mutate: {len(work)} changes of {len(files)} files", flush=True)
    count, survivors = Counter[str](), list[tuple[str, Mutation]]()

    def one(name: str, mutation: Mutation) -> None:
        tests = reached.of(name, mutation.line)
        copy = copies.get()
        try:
            verdict = _verdict(copy, name, mutation, tests) if tests else "survived"
        finally:
            copies.put(copy)
        count[verdict] += 1
        if verdict == "survived":
            survivors.append((name, mutation))
            print(f"survived: {name}:{mutation.line} ({len(tests)} tests): {mutation}", flush=True)
        if count.total() % 50 == 0:
            print(f"gw mutate: {count.total()} of {len(work)}, {count['survived']} survived", flush=True)

    with ThreadPoolExecutor(processes) as pool:
        list(pool.map(lambda each: one(*each), work))
    print("gw mutate:", ", ".join(f"{number} {verdict}" for verdict, number in sorted(count.items())), flush=True)
    return sorted(survivors, key=lambda each: (each[0], each[1].line))


def _copy(folder: Path) -> Path:
    """Copy what git knows of the tree."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    return folder


def _verdict(copy: Path, name: str, mutation: Mutation, tests: Sequence[str]) -> str:
    """Return whether the tests noticed: ``noticed``, ``hung`` or ``survived``."""
    file = copy / name
    whole = file.read_text()
    _write(file, mutation.source)
    paths = f"{copy}{os.pathsep}{copy / 'plugins'}"
    environment = {**os.environ, "PYTHONPATH": paths, "HYPOTHESIS_STORAGE_DIRECTORY": str(copy)}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--timeout=60", f"@{copy / 'tests.args'}"]
    (copy / "tests.args").write_text("\n".join(tests))
    try:
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, check=False, timeout=_LONGEST)
    except subprocess.TimeoutExpired:
        return "hung"
    finally:
        _write(file, whole)
    return "noticed" if done.returncode else "survived"


def _write(file: Path, source: str) -> None:
    file.write_text(source)
    # Python takes a compiled file for the source's where size and second are the same.
    Path(cache_from_source(str(file))).unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
