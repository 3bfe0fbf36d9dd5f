"""SIGKILL at every commit, and at every change of a file, of a rename: all that is kept is under the old name or under the new one,
and the same command ends it whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.messages import booking_messages
from tests.e2e.house import ROOT, until
from tests.e2e.test_renamed import killed, made, user_of
from tests.patience import LONG

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot
    from tests.e2e.house import House

#: Where each kind of name stands, as far as this house has anything of it: all of these change together.
COLUMNS = {
    "account": ("ledger.account", "mail.account", "folder.account", "mailbox.account"),
    "operator": ("filing.operator", "delivery.operator"),
    "user": ("filing.owner",),
}
RENAMES = {
    "account": ("account", "rename", "sales", "orders"),
    "operator": ("operator", "rename", "acme", "alpha"),
    "user": ("user", "rename", "acme/irina", "acme/nina"),
}


def names(house: House, kind: str) -> dict[str, set[str]]:
    """Return by column the names that stand there, as far as they are those of a rename."""
    ours = {"sales", "orders", "acme", "alpha", "irina", "nina"} - {"irina" if kind == "account" else ""}
    found: dict[str, set[str]] = {}
    for column in COLUMNS[kind]:
        table, name = column.split(".")
        found[column] = {one for (one,) in house.read(f"SELECT DISTINCT {name} FROM {table}")} & ours
    return found


def side(house: House, kind: str) -> str:
    """Return the one name that all is kept under; fails if there are two, or none."""
    found = names(house, kind)
    (one,) = {frozenset(each) for each in found.values()}
    assert len(one) == 1, found
    return next(iter(one))


#: Every change of a file, and every commit from that of the intent on; a command has fewer where it does not reach them.
EVENTS = [("rename", number) for number in range(1, 5)] + [("commit", number) for number in range(4, 12)]


def prepared(folder: Path, dovecot: Dovecot, store: str) -> House:
    house = made(folder, dovecot, store=store)
    house.good("import")
    dovecot.deliver(user_of(house, "sales"), booking_messages(1, seed=4))
    assert house.good("import", "sales", "--json").rows[0]["filed"] == 1
    assert house.filed().total() == 11
    return house


def killed_everywhere(house: House, kind: str, events: Sequence[tuple[str, int]] = EVENTS) -> dict[str, int]:
    """Rename to and fro, killed at each event; return how often what is kept was the old name's then, and the new one's."""
    (_, _, old, new), sides = RENAMES[kind], {"old": 0, "new": 0}
    for event, at in events:
        if killed(house, event, at, kind, "rename", old, new):
            sides["new" if side(house, kind) == new.rpartition("/")[2] else "old"] += 1
            house.good(kind, "rename", old, new)
        assert side(house, kind) == new.rpartition("/")[2]
        old, new = new, old
    house.good("check")
    # Nothing is imported again, and all is there.
    assert {row["filed"] for row in house.good("import", "--json").rows} == {0}
    assert house.filed().total() == 11
    for account in house.status():
        if account != "out":
            house.good("audit", account)
    return sides


@pytest.mark.timeout(900)
def test_P2_killed_anywhere_all_is_one_account_s_and_the_same_command_ends_it(
    tmp_path: Path, dovecot: Dovecot, new_store: Callable[[], str]
) -> None:
    sides = killed_everywhere(prepared(tmp_path, dovecot, new_store()), "account")
    assert sides["old"] >= 5, sides
    assert sides["new"], sides


@pytest.mark.parametrize("kind", ["operator", "user"])
@pytest.mark.timeout(900)
def test_P2_killed_anywhere_all_is_one_operator_s_or_user_s(
    tmp_path: Path, dovecot: Dovecot, new_store: Callable[[], str], kind: str
) -> None:
    store = new_store()
    # Files are changed likewise, whatever the store is.
    sides = killed_everywhere(prepared(tmp_path, dovecot, store), kind, EVENTS[4:9] if store else EVENTS)
    assert sides["old"] >= (1 if store else 4), sides


def goes_on(house: House, account: str, filings: int) -> None:
    until(f"it goes on as {account}", 40, lambda: house.filed(account).total() == filings)


@pytest.mark.timeout(900)
def test_P2_killed_under_a_daemon_the_account_goes_on_under_one_name(tmp_path: Path, dovecot: Dovecot) -> None:
    house = prepared(tmp_path, dovecot, "")
    old, new, kills = "sales", "orders", 0
    with house.daemon() as daemon:
        for number, (event, at) in enumerate([("rename", 1), ("rename", 3), ("commit", 5), ("commit", 6), ("commit", 7)]):
            kills += killed(house, event, at, "account", "rename", old, new)
            assert side(house, "account") in (old, new)
            dovecot.deliver(user_of(house, "sales"), booking_messages(1, seed=10 + number))
            house.good("account", "rename", old, new)
            assert side(house, "account") == new
            goes_on(house, new, 2 * (5 + number))
            old, new = new, old
        assert "account paused" not in daemon.log
    assert kills >= 4
    assert house.filed().total() == 3 + 2 * 9
    house.good("check")
    house.good("audit", old)


@pytest.mark.parametrize("at", [5, 6, 9])
def test_P2_a_daemon_that_is_killed_while_it_renames_has_done_all_of_it_or_nothing(
    tmp_path: Path, dovecot: Dovecot, at: int
) -> None:
    house = prepared(tmp_path, dovecot, "")
    with house.daemon(ROOT / "tests/e2e/killed.py", "commit@renames", at) as daemon:
        asked = house.start("account", "rename", "sales", "orders")
        try:
            until("the daemon is killed", 40, lambda: daemon.process.poll() is not None or asked.poll() is not None)
        finally:
            asked.kill()
            asked.communicate(timeout=LONG)
        assert side(house, "account") in ("sales", "orders")
    with house.daemon():
        house.good("account", "rename", "sales", "orders")
        assert side(house, "account") == "orders"
        dovecot.deliver(user_of(house, "sales"), booking_messages(1, seed=10))
        goes_on(house, "orders", 10)
    house.good("audit", "orders")
