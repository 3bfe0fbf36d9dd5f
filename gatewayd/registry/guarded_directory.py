"""Guard a directory: whatever it raises or answers wrongly is its own fault, and never taken for the matcher's."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from gatewayd.api.directory import Contents
from gatewayd.api.roles import Directory
from gatewayd.errors import GatewaydError
from gatewayd.message.envelope import spellings
from gatewayd.registry import checks
from gatewayd.runtime.traces import where

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from gatewayd.api.values import Contact, Kind, Record

__all__ = ["DirectoryFailed", "GuardedDirectory"]

_T = TypeVar("_T")


#: At most so many faults and warnings of a directory are taken, each of so many characters; and so many of all else that it tells.
_MOST_TEXTS, _LONGEST, _MOST = 1000, 500, 1000
#: At most so many senders are judged again one by one; beyond that, all are.
_MOST_CHANGED = 10_000


class DirectoryFailed(Exception):
    """The directory could not answer. It is no ``GatewaydError``, so that no matcher's own handling takes it."""


class GuardedDirectory(Directory):
    """Passes every question on; ``None`` stands for an operator without a directory.

    Who asks for what can't be asked for hears of it by TypeError or ValueError: that is no fault of the directory.
    """

    kind = "guarded"

    def __init__(self, inner: Directory | None, *, asking: Callable[[bool], None] = lambda _: None) -> None:
        """``asking`` is told when the directory is asked something, and when it has answered."""
        self._inner = inner
        self._asking = asking
        #: The records that were given since the last ``forget``: what a matcher may speak of.
        self.given: set[Record] = set()

    def forget(self) -> None:
        """Let a new call begin."""
        self.given = set()

    @contextmanager
    def _guard(self, method: str) -> Iterator[Directory]:
        if self._inner is None:
            raise DirectoryFailed("the operator has no directory")
        try:
            self._asking(True)
            yield self._inner
        except checks.Wrong as wrong:
            raise DirectoryFailed(f"the directory {self._inner.kind} is at fault, `{method}`: {wrong}") from wrong
        except GatewaydError as error:
            raise DirectoryFailed(error.sentences) from error
        except (Exception, SystemExit) as error:
            raise DirectoryFailed(where(error)) from error
        finally:
            self._asking(False)

    def refresh(self) -> list[str]:
        """See ``Directory``."""
        with self._guard("refresh") as inner:
            return checks.texts(inner.refresh())

    def accept(self) -> list[str]:
        """See ``Directory``."""
        with self._guard("accept") as inner:
            return checks.texts(inner.accept())

    def contents(self) -> Contents:
        """See ``Directory``. What it tells is bounded."""
        with self._guard("contents") as inner:
            return _bounded(inner.contents())

    def changed(self, version: str) -> Collection[str] | None:
        """See ``Directory``. What would be too many is None."""
        with self._guard("changed") as inner:
            found = inner.changed(version)
            if found is None or len(found) > _MOST_CHANGED:
                return None
            return frozenset(one for email in found for one in spellings(str(email)))

    def follow(self) -> None:
        """See ``Directory``."""
        with self._guard("follow") as inner:
            inner.follow()

    def find(self, kind: Kind, field: str, values: Collection[str]) -> Mapping[str, Sequence[Record]]:
        """See ``Directory``."""
        checks.kind(kind, "find")
        checks.asked([field], "the field of find")
        checks.asked(values, "find")
        with self._guard("find") as inner:
            return self._given(checks.answer(inner.find(kind, field, values), values, kind=kind))

    def persons(self, emails: Collection[str]) -> Mapping[str, Sequence[Record]]:
        """See ``Directory``. An address is found whether its domain is written in A-labels or in U-labels."""
        checks.asked(emails, "persons")
        asked = _spelt(emails)
        with self._guard("persons") as inner:
            found = checks.answer(inner.persons(asked), asked, kind="person", folded=True)
        return self._given(_as_asked(found, emails))

    def contacts(self, emails: Collection[str]) -> Mapping[str, Sequence[Contact]]:
        """See ``Directory``. An address is found whether its domain is written in A-labels or in U-labels."""
        checks.asked(emails, "contacts")
        asked = _spelt(emails)
        with self._guard("contacts") as inner:
            found = checks.answer(inner.contacts(asked), asked, kind="contact", folded=True)
        self.given.update(one.record for some in found.values() for one in some)
        return _as_asked(found, emails)

    def reservations(self, codes: Collection[str]) -> Mapping[str, Sequence[Record]]:
        """See ``Directory``."""
        checks.asked(codes, "reservations")
        with self._guard("reservations") as inner:
            return self._given(checks.answer(inner.reservations(codes), codes, kind="reservation"))

    def search(self, kind: Kind, text: str, *, limit: int = 20) -> Sequence[Record]:
        """See ``Directory``."""
        checks.kind(kind, "search")
        with self._guard("search") as inner:
            found = checks.records(inner.search(kind, text, limit=limit), kind=kind, most=limit)
        self.given.update(found)
        return found

    def close(self) -> None:
        """See ``Directory``."""
        if self._inner is not None:
            # It promised not to raise; if it does, nothing of this directory is needed any more, and the others must go on.
            with suppress(Exception):
                self._inner.close()

    def _given(self, found: Mapping[str, Sequence[Record]]) -> Mapping[str, Sequence[Record]]:
        for some in found.values():
            self.given.update(some)
        return found


def _spelt(emails: Collection[str]) -> list[str]:
    return list(dict.fromkeys(one for email in emails for one in spellings(email)))


def _as_asked(found: Mapping[str, Sequence[_T]], emails: Collection[str]) -> dict[str, Sequence[_T]]:
    """Return what was found for each address in any spelling, by the address in lower case as it was asked for."""
    answer: dict[str, Sequence[_T]] = {}
    for email in emails:
        several = [found[one] for one in spellings(email) if one in found]
        if several:
            answer[email.lower()] = several[0] if len(several) == 1 else tuple(dict.fromkeys(chain.from_iterable(several)))
    return answer


def _bounded(found: object) -> Contents:
    if not isinstance(found, Contents):
        raise checks.Wrong(found, "Contents")
    types = found.contact_types
    return replace(
        found,
        version=str(found.version)[:_LONGEST],
        outdated=str(found.outdated)[:_LONGEST],
        rows=tuple((str(table)[:_LONGEST], int(count)) for table, count in found.rows[:_MOST]),
        contact_types=None
        if types is None
        else tuple((kind, str(word)[:_LONGEST], int(count)) for kind, word, count in types[:_MOST]),
        faults=tuple(str(text)[:_LONGEST] for text in found.faults[:_MOST_TEXTS]),
        warnings=tuple(str(text)[:_LONGEST] for text in found.warnings[:_MOST_TEXTS]),
        folders=tuple(Path(folder) for folder in found.folders[:_MOST]),
    )
