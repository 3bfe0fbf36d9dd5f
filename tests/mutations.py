"""Small changes to a source, each of which some test should notice: the operators of ``./gw mutate``."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Mutation", "mutations"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """One change of a source."""

    line: int
    #: The whole lines that are changed, before and after.
    before: str
    after: str
    #: The whole source after it.
    source: str
    #: The lines that use what the statement of the module defines which is changed; of the head of a function, where it begins.
    used_at: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{' '.join(self.before.split())}  ->  {' '.join(self.after.split())}"


_COMPARED: dict[type[ast.cmpop], str] = {
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.In: "not in",
    ast.NotIn: "in",
    ast.Is: "is not",
    ast.IsNot: "is",
}
#: The same of times.
_TIMES = _COMPARED | {ast.Lt: ">", ast.LtE: ">", ast.Gt: "<", ast.GtE: "<"}
_CLOCK = re.compile(r"\b(?:now|monotonic|time)\(\)|\bnow\b|\bdatetime\b|_at\b")
_COMPUTED: dict[type[ast.operator], str] = {ast.Add: "-", ast.Sub: "+", ast.Mult: "+", ast.BitOr: "&", ast.BitAnd: "|"}


def mutations(source: str) -> Iterator[Mutation]:
    """Yield every change that an operator makes of the source, each by itself, in the order of lines.

    Docstrings, annotations, imports and what only type checkers read are left alone, and the numbers of a module's settings:
    one more second or row is not wrong.
    """
    tree = ast.parse(source)
    text = _Text(source)
    settings = {
        node for one in tree.body if isinstance(one, ast.Assign | ast.AnnAssign) for node in ast.walk(one) if _is_number(node)
    }
    uses = _uses(tree)
    heads = [(node.lineno, node.body[0].lineno, _begin(node)) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for statement in tree.body:
        nodes = [statement, *_alive(statement)] if not _is_for_readers(statement) else []
        found = {change for node in nodes if node not in settings for change in _changes(node, text)}
        used_at = tuple(sorted(set(_used_at(statement, uses, ()))))
        for start, end, new in sorted(found):
            changed = source[:start] + new + source[end:]
            if _compiles(changed):
                line, before, after = text.lines(start, end, new)
                begins = {begin for head, body, begin in heads if head <= line < body}
                yield Mutation(line=line, before=before, after=after, source=changed, used_at=tuple(sorted({*used_at, *begins})))


class _Text:
    """A source, with the places of its nodes as offsets."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._starts = [0]
        for line in source.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def place(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        return self._offset(node.lineno, node.col_offset), self._offset(node.end_lineno or 0, node.end_col_offset or 0)

    def of(self, node: ast.expr | ast.stmt) -> str:
        start, end = self.place(node)
        return self.source[start:end]

    def lines(self, start: int, end: int, new: str) -> tuple[int, str, str]:
        first = self.source.rfind("\n", 0, start) + 1
        last = self.source.find("\n", end)
        last = len(self.source) if last < 0 else last
        return (
            self.source.count("\n", 0, start) + 1,
            self.source[first:last],
            self.source[first:start] + new + self.source[end:last],
        )

    def _offset(self, line: int, column: int) -> int:
        # Columns count bytes of UTF-8.
        begin = self._starts[line - 1]
        text = self.source[begin : self._starts[line]]
        return begin + len(text.encode()[:column].decode())


def _uses(tree: ast.Module) -> Mapping[str, Sequence[tuple[int, ast.stmt]]]:
    """Return each name that is used in a module, with the lines and the statements that use it."""
    found: dict[str, list[tuple[int, ast.stmt]]] = {}
    for statement in tree.body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                found.setdefault(node.id, []).append((node.lineno, statement))
    return found


def _begin(function: ast.FunctionDef) -> int:
    """Return the first line that runs when a function is called."""
    return next((one.lineno for one in function.body if not _is_for_readers(one)), function.body[0].lineno)


def _used_at(statement: ast.stmt, uses: Mapping[str, Sequence[tuple[int, ast.stmt]]], above: tuple[ast.stmt, ...]) -> Iterator[int]:
    """Yield the lines that use what a statement of a module defines, by way of other such statements, too."""
    names = [node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    for name in [statement.name] if isinstance(statement, ast.FunctionDef) else names:
        for line, user in uses.get(name, ()):
            yield line
            if isinstance(user, ast.Assign | ast.AnnAssign) and user not in above:
                yield from _used_at(user, uses, (*above, user))


def _alive(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that run."""
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns", "decorator_list", "type_comment"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or _is_for_readers(child):
                continue
            yield child
            yield from _alive(child)


def _is_for_readers(node: ast.AST) -> bool:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    if isinstance(node, ast.Import | ast.ImportFrom):
        return True
    if isinstance(node, ast.Assign) and any(isinstance(one, ast.Name) and one.id == "__all__" for one in node.targets):
        return True
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _changes(node: ast.AST, text: _Text) -> Iterator[tuple[int, int, str]]:
    if isinstance(node, ast.Expr | ast.Raise | ast.AugAssign | ast.Delete | ast.Break | ast.Continue):
        yield *text.place(node), "pass"
    elif isinstance(node, ast.Return) and node.value is not None and not _is_constant(node.value, None, False):
        yield *text.place(node.value), "None"
    elif isinstance(node, ast.If | ast.While | ast.IfExp) and not isinstance(node.test, ast.Constant):
        yield from ((*text.place(node.test), word) for word in ("True", "False"))
    elif isinstance(node, ast.comprehension):
        yield from ((*text.place(one), "True") for one in node.ifs if not isinstance(one, ast.Constant))
    elif isinstance(node, ast.expr):
        yield from _of_expression(node, text)


def _of_expression(node: ast.expr, text: _Text) -> Iterator[tuple[int, int, str]]:
    start, end = text.place(node)
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        # No clock hits a moment.
        words = _TIMES if _CLOCK.search(text.of(node)) else _COMPARED
        word = words[type(node.ops[0])]
        yield start, end, f"{text.of(node.left)} {word} {text.of(node.comparators[0])}"
    elif isinstance(node, ast.BoolOp):
        word = "or" if isinstance(node.op, ast.And) else "and"
        yield start, end, f" {word} ".join(f"({text.of(one)})" for one in node.values)
        yield from ((start, end, text.of(one)) for one in node.values)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield start, end, text.of(node.operand)
    elif isinstance(node, ast.BinOp) and type(node.op) in _COMPUTED:
        yield start, end, f"{text.of(node.left)} {_COMPUTED[type(node.op)]} {text.of(node.right)}"
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield start, end, str(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield start, end, str(node.value + 1)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and not node.args and not node.keywords:
        yield start, end, text.of(node.func.value)
    elif (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"sorted", "set", "max", "min", "tuple"}
    ):
        yield from ((start, end, text.of(one)) for one in node.args[:1])


def _is_number(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool)


def _is_constant(node: ast.expr, *values: object) -> bool:
    return isinstance(node, ast.Constant) and any(node.value is value for value in values)


def _compiles(source: str) -> bool:
    try:
        compile(source, "mutation", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True
