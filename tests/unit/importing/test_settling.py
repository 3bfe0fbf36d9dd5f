"""What stays owed is looked at once in a visit, however much of it there is."""

from __future__ import annotations

from contextlib import suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from gatewayd import Action, Lease, Listed, Owed, PermanentError
from gatewayd.config import ImportConfig
from gatewayd.importing.meter import VisitFull
from gatewayd.importing.reporter import Reporter
from gatewayd.importing.settling import Settler

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

DELETE = Action(do="delete")


class Books:
    """What a store has of owed actions; it counts what it is asked for."""

    def __init__(self, *folders: str) -> None:
        listed = [Listed(f"1:{number}", 100) for number in range(len(folders))]
        self.left = [
            Owed(entry_id=number + 1, folder=folder, listed=one, action=DELETE, size=100)
            for number, (folder, one) in enumerate(zip(folders, listed, strict=True))
        ]
        self.read = 0

    def owed(self, _: str, *, after: int = 0, limit: int) -> Sequence[Owed]:
        found = [one for one in self.left if one.entry_id > after][:limit]
        self.read += len(found)
        return found

    def settled(self, _: Lease, entry_ids: Collection[int], *, undone: bool = False) -> None:
        assert not undone
        gone = frozenset(entry_ids)
        self.left = [one for one in self.left if one.entry_id not in gone]


def settled(books: Books, act: Any, go_on: Callable[[], object] = lambda: None) -> int:
    """Settle what is owed in INBOX until that is done, or the visit may not ``go_on``, and return how much of it was."""
    reporter = Reporter("main", ())
    session = SimpleNamespace(
        look_up=lambda _, keys: [Listed(key, 100) for key in keys],
        headers=lambda _, __: [],
        settle=act,
    )
    context: Any = SimpleNamespace(
        store=books,
        lease=Lease(account="main", holder="me", epoch=1),
        imports=ImportConfig(after=DELETE),
        sessions=SimpleNamespace(call=lambda step: step(session), ask=lambda step, folder, keys: step(session, folder, keys)),
        reporter=reporter,
        go_on=go_on,
        spans=False,
    )
    with suppress(VisitFull):
        Settler(context, {"INBOX"}).settle()
    return reporter.report.settled


def refuse(*_: object) -> None:
    raise PermanentError("no such folder")


@pytest.mark.parametrize(("folder", "act"), [("INBOX", refuse), ("Doubtful", lambda *_: None)])
def test_P8_what_stays_owed_is_read_once_however_much_it_is(folder: str, act: Any) -> None:
    books = Books(*[folder] * 5000)
    assert settled(books, act) == 0
    assert (books.read, len(books.left)) == (5000, 5000)


def test_what_stays_owed_keeps_nothing_behind_it_from_being_done() -> None:
    books = Books(*["Doubtful"] * 1500, *["INBOX"] * 1500)
    assert settled(books, lambda *_: None) == 1500
    assert {one.folder for one in books.left} == {"Doubtful"}


def test_P4_a_visit_that_gives_way_settles_one_group_and_leaves_the_rest() -> None:
    """So it gets on, and holds nobody up for long."""

    def full() -> None:
        raise VisitFull("others wait")

    books = Books(*["Doubtful"] * 300, *["INBOX"] * 2500)
    assert [settled(books, lambda *_: None, full) for _ in range(4)] == [700, 700, 700, 400]
    assert {one.folder for one in books.left} == {"Doubtful"}
