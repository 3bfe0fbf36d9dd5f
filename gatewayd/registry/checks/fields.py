"""Small checks for the fields of values from plugins, and checks that are made of others. Each raises ``Wrong``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from gatewayd.runtime.traces import Spot

__all__ = [
    "Check",
    "Shape",
    "Wrong",
    "digest",
    "flag",
    "many",
    "moment",
    "number",
    "one_of",
    "optional",
    "pair",
    "shown",
    "source",
    "span",
    "text",
    "within",
]

#: The largest number in a column of a database, and the longest text for people in bytes.
_NUMBER, _WORDS = (1 << 63) - 1, 2000
#: How much of a text or a name is shown.
_SHORT = 40


class Wrong(Exception):
    """A value is not what was expected. The text names the field, and shows a word or a number but no text."""

    def __init__(self, value: object, expected: str, *path: str) -> None:
        super().__init__(value, expected, *path)
        self._value = shown(value)
        self._expected = expected
        self._path = path
        self._spot: Spot | None = None

    def within(self, path: str) -> Wrong:
        """Return it with the path to the value that the wrong one is in."""
        self._path = (path, *self._path)
        return self

    def at(self, spot: Spot | None) -> Wrong:
        """Return it with the place in the plugin that gave it, where that is known."""
        self._spot = spot
        return self

    def __str__(self) -> str:
        at = f" ({self._spot})" if self._spot else ""
        return f"{''.join(self._path).strip() or 'it'} is {self._value}, expected {self._expected}{at}"


Check: TypeAlias = "Callable[[object], None]"


def shown(value: object) -> str:
    """Return a value in a few words that show nothing of a mail: its class, a number, a short word."""
    if value is None or isinstance(value, bool):
        return str(value)
    if type(value) is int:
        return str(value) if abs(value) <= _NUMBER else "a huge number"
    if type(value) is str:
        return (
            repr(value)
            if value.isprintable() and value.isascii() and len(value) <= _SHORT
            else f"text of {len(value):,} characters"
        )
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name[:_SHORT]}"


# --- simple values ----------------------------------------------------------------------------------------------------


def flag(value: object) -> None:
    """Expect True or False."""
    if type(value) is not bool:
        raise Wrong(value, "True or False")


def number(least: int = 0, most: int = _NUMBER) -> Check:
    """Return a check that expects a whole number within these bounds."""

    def check(value: object) -> None:
        if type(value) is not int or not least <= value <= most:
            raise Wrong(value, f"a whole number from {least}" + (f" to {most}" if most < _NUMBER else ""))

    return check


def text(least: int = 0, most: int = _WORDS) -> Check:
    """Return a check that expects text of so many bytes in UTF-8, which every store can keep."""

    def check(value: object) -> None:
        if type(value) is not str:
            raise Wrong(value, "text")
        try:
            size = len(value) if value.isascii() else len(value.encode())
        except UnicodeEncodeError:
            raise Wrong(value, "text without lone surrogates") from None
        if "\0" in value:
            raise Wrong(value, "text without NUL characters")
        if not least <= size <= most:
            raise Wrong(value, f"text of {least} to {most:,} bytes" if least else f"text of at most {most:,} bytes")

    return check


def one_of(words: Collection[str]) -> Check:
    """Return a check that expects one of these words."""

    def check(value: object) -> None:
        if type(value) is not str or value not in words:
            raise Wrong(value, " or ".join(words))

    return check


def moment(value: object) -> None:
    """Expect a moment in time."""
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise Wrong(value, "a datetime with its time zone")
    try:
        value.astimezone(UTC).timestamp()
    except Exception:  # noqa: BLE001  a time zone of the plugin's own may raise anything
        raise Wrong(value, "a datetime that there is in UTC") from None


def span(value: object) -> None:
    """Expect seconds."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < _NUMBER:
        raise Wrong(value, "seconds from 0")


def digest(value: object) -> None:
    """Expect a SHA-256."""
    if type(value) is not bytes or len(value) != 32:  # noqa: PLR2004  SHA-256
        raise Wrong(value, "the 32 bytes of a SHA-256")


def source(value: object) -> None:
    """Expect a source of raw bytes."""
    size = getattr(value, "size", None)
    if not callable(getattr(value, "read", None)):
        raise Wrong(value, "a source with `size` and `read`")
    try:
        number()(size)
    except Wrong as wrong:
        raise wrong.within(".size") from None


# --- checks that are made of others -----------------------------------------------------------------------------------


def optional(inner: Check) -> Check:
    """Return a check that expects None or a value that passes ``inner``."""

    def check(value: object) -> None:
        if value is not None:
            inner(value)

    return check


def many(inner: Check, *, least: int = 0, most: int = _NUMBER) -> Check:
    """Return a check that expects a tuple of ``least`` to ``most`` values that pass ``inner``."""

    def check(value: object) -> None:
        if not isinstance(value, tuple) or type(value) is not tuple:
            raise Wrong(value, "a tuple")
        if not least <= len(value) <= most:
            raise Wrong(len(value), f"{least} to {most:,} of them", " (how many)")
        for index, one in enumerate(value):
            within(inner, one, f"[{index}]")

    return check


def pair(first: Check, second: Check) -> Check:
    """Return a check that expects a pair."""

    def check(value: object) -> None:
        if not isinstance(value, tuple) or type(value) is not tuple or len(value) != 2:  # noqa: PLR2004  a pair
            raise Wrong(value, "a pair")
        within(first, value[0], "[0]")
        within(second, value[1], "[1]")

    return check


def within(check: Check, value: object, path: str) -> None:
    """Check the part of a value that is at ``path`` in it."""
    try:
        check(value)
    except Wrong as wrong:
        raise wrong.within(path) from None


class Shape:
    """The checks of all fields of one frozen value. Derived classes don't pass: they may hold anything."""

    def __init__(self, cls: type, **fields: Check) -> None:
        self.cls = cls
        self.fields = fields
        self._checks = tuple(fields.items())

    def __call__(self, value: object) -> None:
        """Raise Wrong for a value of another class, or with a wrong field."""
        if type(value) is not self.cls:
            raise Wrong(value, self.cls.__name__)
        for name, check in self._checks:
            try:
                check(getattr(value, name))
            except Wrong as wrong:
                raise wrong.within(f".{name}") from None
            except AttributeError:
                raise Wrong(None, "a value", f".{name}") from None
