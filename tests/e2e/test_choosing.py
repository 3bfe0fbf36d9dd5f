"""What people choose on a real Dovecot, by the command line: five of twenty, and the server never notices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.house import House

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot


def message(number: int, sender: str = "anna@example.com") -> bytes:
    return (
        f"Message-ID: <{number}@example.com>\r\nDate: Mon, 05 Jan 2026 10:00:{number:02} +0100\r\nFrom: Anna <{sender}>\r\n"
        f"To: reservations@example.com\r\nSubject: booking {number}\r\n\r\nHello {number}\r\n"
    ).encode()


@pytest.fixture
def site(tmp_path: Path, dovecot: Dovecot) -> tuple[House, str]:
    house = House(tmp_path)
    user = f"{tmp_path.name}@example.com"
    dovecot.user(user, "pass")
    dovecot.deliver(user, [message(number) for number in range(1, 21)])
    house.operator("acme", more="users:\n  irina: {name: Irina Mari, email: irina@example.com}\n")
    house.operator("globetrot")
    house.account("main", "imap", dovecot.ports["imap"], user, more="operators: [acme, globetrot]\n", imports="  take: chosen\n")
    house.account("broken", "imap", 1, user, more="operators: [acme]\nsecond: true\n", imports="  take: chosen\n")
    return house, user


def test_five_of_twenty_are_chosen_and_the_server_never_notices(site: tuple[House, str], dovecot: Dovecot) -> None:
    house, user = site
    before = dovecot.snapshot(user)
    shown = house.run("remote", "--user", "acme/irina")
    assert shown.code == 1, "one account is broken"
    assert "(!) broken" in shown.out, "and the other is listed all the same"
    assert shown.out.count("booking") == 20
    rows = [row for row in house.run("remote", "--user", "acme/irina", "--json").rows if row["account"] == "main"]
    assert [row["subject"] for row in rows] == [f"booking {number}" for number in range(20, 0, -1)], "newest first"
    assert {(row["from"], row["from_name"], row["attachments"], row["decision"]) for row in rows} == {
        ("anna@example.com", "Anna", False, "offered")
    }
    wanted = [row["key"] for row in rows[-5:]]
    results = house.good(
        "import", "main", "--user", "acme/irina", "--json", *(part for key in wanted for part in ("--key", key))
    ).rows
    assert sorted(row["key"] for row in results) == sorted(wanted)
    assert {row["result"] for row in results} == {"here"}
    listed = house.good("mail", "list", "--operator", "acme", "--json").rows
    assert sorted(row["subject"] for row in listed) == [f"booking {number}" for number in range(1, 6)]
    assert all(row["unread"] for row in listed)
    assert house.good("mail", "list", "--operator", "globetrot", "--json").rows == [], (
        "it is filed for the chooser's operator alone"
    )
    assert dovecot.snapshot(user) == before
    dovecot.deliver(user, [message(21)])
    rows = house.good("remote", "main", "--user", "acme/irina", "--json").rows
    assert [row["subject"] for row in rows] == ["booking 21"], "only what is new"
    rows = house.good("remote", "main", "--user", "acme/irina", "--from-beginning", "--json").rows
    assert (len(rows), len([row for row in rows if row["mail"]])) == (21, 5), "all, five of them as here already"
    rows = house.good("remote", "main", "--user", "acme/irina", "--waiting", "--json").rows
    assert len(rows) == 16
    rows = house.good("remote", "main", "--operator", "globetrot", "--json").rows
    assert len(rows) == 21, "one operator's download hides nothing from another"
