"""Count lines, files and functions of the kernel and the plugins, and the calls on the way of a mail and of a delivery.

Run it by hand: ``python -m tests.hops [REV]``. Without a revision it reads the working tree. The chains of calls are estimates:
calls are resolved by name, and where several methods have the name, by the classes that the calling module names.
"""

from __future__ import annotations

import ast
import io
import subprocess
import sys
import tarfile
import tokenize
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.docs import ROOMS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parent.parent
FOLDERS = ("gatewayd", "plugins")
#: Tokens that make no line of code.
BLANK = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Function:
    """A function or method, and how it calls others: (the name it is called by, whether that is a name alone or of ``self``)."""

    module: str
    owner: str
    name: str
    calls: frozenset[tuple[str, str]]
    #: The names that its module uses.
    used: frozenset[str]

    @property
    def room(self) -> int:
        """How high its room lies: the store lies lowest, what is no room highest."""
        top, _, rest = self.module.partition(".")
        room = rest.partition(".")[0]
        return -1 if room == "gatewayd_sql" else ROOMS.index(room) if top == "gatewayd" and room in ROOMS else len(ROOMS)

    def __str__(self) -> str:
        return ".".join(filter(None, (self.module.rpartition(".")[2], self.owner, self.name)))


def sources(revision: str | None) -> Iterator[tuple[str, str]]:
    """Yield path and text of each module."""
    if revision is None:
        paths = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
        yield from ((str(path.relative_to(ROOT)), path.read_text()) for path in paths)
        return
    packed = subprocess.run(["git", "archive", revision, *FOLDERS], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        for one in archive:
            if one.name.endswith(".py") and (data := archive.extractfile(one)):
                yield one.name, data.read().decode()


def docstring(node: ast.AST) -> ast.stmt | None:
    """Return the statement that is the node's docstring."""
    first = node.body[0] if isinstance(node, DOCUMENTED) and node.body else None
    is_text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    return first if is_text else None


def code_lines(text: str) -> int:
    """Return how many lines are neither blank nor a comment nor part of a docstring."""
    found = [docstring(node) for node in ast.walk(ast.parse(text))]
    documented = {line for one in found if one for line in range(one.lineno, (one.end_lineno or 0) + 1)}
    tokens = [one for one in tokenize.generate_tokens(io.StringIO(text).readline) if one.type not in BLANK]
    return len({line for one in tokens for line in range(one.start[0], one.end[0] + 1)} - documented)


def calls_of(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield which names are called in a function or handed on, and how each is reached: "" alone, "self", or "other"."""
    called = {id(one.func) for one in ast.walk(node) if isinstance(one, ast.Call)}
    for one in ast.walk(node):
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load):
            yield one.id, ""
        elif isinstance(one, ast.Attribute):
            own = isinstance(one.value, ast.Name) and one.value.id == "self"
            if own or id(one) in called:
                yield one.attr, "self" if own else "other"


def read(path: str, text: str) -> Iterator[Function]:
    """Yield a module's functions."""
    module = path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    parsed = ast.parse(text)
    used = {one.id for one in ast.walk(parsed) if isinstance(one, ast.Name)}
    used |= {name.name for one in ast.walk(parsed) if isinstance(one, ast.ImportFrom) for name in one.names}
    for top in parsed.body:
        owner = top.name if isinstance(top, ast.ClassDef) else ""
        for one in top.body if isinstance(top, ast.ClassDef) else [top]:
            if isinstance(one, ast.FunctionDef):
                yield Function(module, owner, one.name, frozenset(calls_of(one)), frozenset(used))


def chain(functions: Sequence[Function], begins: Sequence[Function], ends: Sequence[Function]) -> list[Function]:
    """Return the shortest chain of calls from one of the first to one of the last."""
    by_name: dict[str, list[Function]] = {}
    for one in functions:
        by_name.setdefault(one.owner if one.name == "__init__" else one.name, []).append(one)
    line, before = deque(begins), dict[Function, Function | None].fromkeys(begins)
    while line and not (found := [one for one in ends if one in before]):
        now = line.popleft()
        for one in {one for name, reached in now.calls for one in targets(now, by_name.get(name, []), reached)} - before.keys():
            before[one] = now
            line.append(one)
    way = found[:1]
    while way and (above := before[way[0]]) is not None:
        way.insert(0, above)
    return way


def targets(caller: Function, named: Sequence[Function], reached: str) -> list[Function]:
    """Return which of the functions of one name a call means: those in rooms that the caller's may import, or in the store."""
    if reached == "self":
        return [one for one in named if (one.module, one.owner) == (caller.module, caller.owner)]
    near = [one for one in named if one.room <= caller.room]
    if reached == "":
        alone = [one for one in near if not one.owner or one.name == "__init__"]
        return [one for one in alone if one.module == caller.module] or alone
    methods = [one for one in near if one.owner]
    return [one for one in methods if one.owner in caller.used] or methods


def main(revision: str | None) -> None:
    """Print all numbers."""
    functions: list[Function] = []
    lines = files = count = single = 0
    for path, text in sources(revision):
        functions += read(path, text)
        lines, files = lines + code_lines(text), files + 1
        for one in ast.walk(ast.parse(text)):
            if isinstance(one, ast.FunctionDef):
                count += 1
                single += len(one.body) - (docstring(one) is not None) <= 1
    print(f"{lines} lines of code in {files} files; {count} functions, {single} of them a single statement")
    stored = [one for one in functions if one.module.startswith("plugins.gatewayd_sql.")]
    taking = [one for one in functions if one.module.startswith("gatewayd.outgoing.") and ("take", "other") in one.calls]
    ways = {
        "a mail": (
            [one for one in functions if str(one) == "visit.visit"],
            [one for one in stored if str(one) == "filing.Filer.file"],
        ),
        "a delivery": (taking, [one for one in stored if str(one) == "outbox.OutboxTables.settle"]),
    }
    for name, (begins, ends) in ways.items():
        way = chain(functions, begins, ends)
        print(f"{name}: {len(way) - 1} calls: {' > '.join(map(str, way))}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
