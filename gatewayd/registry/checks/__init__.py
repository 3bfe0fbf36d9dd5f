"""Check values of plugins field by field before the kernel uses them: type, range, allowed words, bounds.

The guards around plugins call the functions below, and say whose value it was if one raises ``Wrong``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, TypeVar

from gatewayd.api.values import KINDS, Contact, Record
from gatewayd.errors import enumerated
from gatewayd.registry.checks.fields import Wrong, shown, text, within
from gatewayd.registry.checks.shapes import KEY, MANY, SAID, SHAPES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

__all__ = ["SHAPES", "Wrong", "answer", "asked", "header", "kind", "records", "texts", "value"]

_T = TypeVar("_T")

#: Characters of a text that is read by people.
_WORDS = 2000
#: Records of one answer.
_RECORDS = 100_000
#: Bytes of a header block.
_HEADER = 1 << 20
_SHORT = 40

# --- answers of plugins -----------------------------------------------------------------------------------------------


def value(found: object, *classes: type[_T]) -> _T:
    """Return a value of one of these classes once each field fits its shape; else raises Wrong."""
    for cls in classes:
        if type(found) is cls:
            within(SHAPES[cls], found, cls.__name__)
            return found
    raise Wrong(found, enumerated(one.__name__ for one in classes))


def texts(value: object) -> list[str]:
    """Return a list of texts, each cut to a length that people read; raises Wrong."""
    if not isinstance(value, list | tuple):
        raise Wrong(value, "a list of texts")
    check = text(0, SAID)
    found: list[str] = []
    for index, one in enumerate(value[:MANY]):
        within(check, one, f"[{index}]")
        found.append(one[:_WORDS])
    return found


def header(value: object) -> tuple[str, bytes]:
    """Return a pair of a key and its raw header block; raises Wrong."""
    if not isinstance(value, tuple) or len(value) != 2:  # noqa: PLR2004  a pair
        raise Wrong(value, "a pair of key and header block")
    key, block = value
    within(text(1, KEY), key, "its key")
    if type(block) is not bytes or len(block) > _HEADER:
        raise Wrong(block if type(block) is not bytes else len(block), f"at most {_HEADER:,} bytes", "its header block")
    return key, block


def records(value: object, *, kind: str, most: int = _RECORDS) -> Sequence[Record]:
    """Return a list of records of one kind; raises Wrong."""
    found = _listed(value, "records", most)
    for index, one in enumerate(found):
        within(SHAPES[Record], one, f"[{index}]")
        if one.kind != kind:
            raise Wrong(one.kind, kind, f"[{index}].kind")
    return found


def _contacts(value: object, most: int) -> Sequence[Contact]:
    found = _listed(value, "contacts", most)
    for index, one in enumerate(found):
        within(SHAPES[Contact], one, f"[{index}]")
        if one.record.kind not in {"customer", "supplier"}:
            raise Wrong(one.record.kind, "customer or supplier", f"[{index}].record.kind")
        if one.type != "EMAIL":
            raise Wrong(one.type, "EMAIL", f"[{index}].type")
    return found


def _listed(value: object, what: str, most: int) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise Wrong(value, f"a list of {what}")
    if len(value) > most:
        raise Wrong(len(value), f"at most {_RECORDS:,} in one answer", f": the number of {what}")
    return value


def answer(found: object, wanted: Collection[str], *, kind: str, folded: bool = False) -> dict[str, Sequence[Any]]:
    """Return the answer of a directory, by the words that it was asked for; raises Wrong.

    ``kind`` is that of the records, or ``contact``. ``folded``: the keys are what was asked for in lower case.
    """
    if not isinstance(found, Mapping):
        raise Wrong(found, "a mapping")
    expected = {one.lower() for one in wanted} if folded else set(wanted)
    answers: dict[str, Sequence[Any]] = {}
    left = _RECORDS
    for key, value in found.items():
        if type(key) is not str or key not in expected:
            raise Wrong(key, "what it was asked for" + (", in lower case" if folded else ""), "a key of the answer")
        try:
            answers[key] = _contacts(value, left) if kind == "contact" else records(value, kind=kind, most=left)
        except Wrong as wrong:
            raise wrong.within("an answer") from None
        left -= len(answers[key])
    return answers


# --- questions of plugins ---------------------------------------------------------------------------------------------


def asked(values: object, what: str) -> None:
    """Expect a collection of texts to look up. Raises TypeError, for the author of the plugin that asks."""
    if isinstance(values, str | bytes):
        one = repr(values[:_SHORT])
        raise TypeError(f"{what} was asked for {one}, expected a collection of texts such as {{{one}}}")
    if not isinstance(values, Collection):
        raise TypeError(f"{what} was asked for {shown(values)}, expected a collection of texts")
    for value in values:
        if not isinstance(value, str):
            raise TypeError(f"{what} was asked for {shown(value)} among others, expected a collection of texts")


def kind(value: object, what: str) -> None:
    """Expect a kind of record to look up. Raises ValueError, for the author of the plugin that asks."""
    if value not in KINDS:
        raise ValueError(f"{what} was asked for the kind {shown(value)}, expected {' or '.join(KINDS)}")
