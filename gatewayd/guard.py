"""A directory in a guard: whatever it raises is known as the directory's fault, and never taken for the matcher's."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from gatewayd.errors import GatewaydError
from gatewayd.plugins import where
from gatewayd.roles import Directory

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from gatewayd.model import Contact, Kind, Record

__all__ = ["DirectoryFailed", "GuardedDirectory"]

_Found = TypeVar("_Found")


class DirectoryFailed(Exception):
    """The directory could not answer. It is no ``GatewaydError``, so that no matcher's own handling takes it."""


class GuardedDirectory(Directory):
    """Passes every question on; ``None`` stands for an operator without a directory."""

    kind = "guarded"

    def __init__(self, inner: Directory | None) -> None:
        self._inner = inner

    @contextmanager
    def _guard(self) -> Iterator[Directory]:
        if self._inner is None:
            raise DirectoryFailed("the operator has no directory")
        try:
            yield self._inner
        except GatewaydError as error:
            raise DirectoryFailed(error.message) from error
        except (Exception, SystemExit) as error:
            raise DirectoryFailed(where(error)) from error

    def refresh(self) -> list[str]:
        """See ``Directory``."""
        with self._guard() as inner:
            found = inner.refresh()
            if not isinstance(found, list):
                raise TypeError(f"refresh answered with {type(found).__name__}, expected a list of texts")
            return found

    def follow(self) -> None:
        """See ``Directory``."""
        with self._guard() as inner:
            inner.follow()

    def find(self, kind: Kind, field: str, values: Collection[str]) -> Mapping[str, Sequence[Record]]:
        """See ``Directory``."""
        with self._guard() as inner:
            return _mapping(inner.find(kind, field, values))

    def persons(self, emails: Collection[str]) -> Mapping[str, Sequence[Record]]:
        """See ``Directory``."""
        with self._guard() as inner:
            return _mapping(inner.persons(emails))

    def contacts(self, emails: Collection[str]) -> Mapping[str, Sequence[Contact]]:
        """See ``Directory``."""
        with self._guard() as inner:
            return _mapping(inner.contacts(emails))

    def reservations(self, codes: Collection[str]) -> Mapping[str, Sequence[Record]]:
        """See ``Directory``."""
        with self._guard() as inner:
            return _mapping(inner.reservations(codes))

    def search(self, kind: Kind, text: str, *, limit: int = 20) -> Sequence[Record]:
        """See ``Directory``."""
        with self._guard() as inner:
            return inner.search(kind, text, limit=limit)

    def close(self) -> None:
        """See ``Directory``."""
        if self._inner is not None:
            # It promised not to raise; if it does, nothing of this directory is needed any more, and the others must go on.
            with suppress(Exception):
                self._inner.close()


def _mapping(found: _Found) -> _Found:
    if not isinstance(found, Mapping):
        raise TypeError(f"it answered with {type(found).__name__}, expected a mapping")
    return found
