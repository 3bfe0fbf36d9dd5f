"""Renumbered folders: known mail is known again, also when the server changed a header."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.messages import booking_messages
from tests.e2e.house import House

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot


@pytest.fixture
def user(dovecot: Dovecot, tmp_path: Path) -> str:
    name = f"renumber-{tmp_path.name}"
    dovecot.user(name, "pass")
    return name


@pytest.fixture
def house(dovecot: Dovecot, tmp_path: Path, user: str, request: pytest.FixtureRequest) -> House:
    house = House(tmp_path)
    house.operator("acme")
    house.account("main", request.param, dovecot.ports[request.param], user)
    return house


def header_changed(raw: bytes) -> bytes:
    return b"X-Moved-By: migration\r\n" + raw


@pytest.mark.parametrize("house", ["imap", "pop3"], indirect=True)
@pytest.mark.parametrize("changed", [False, True])
def test_renumbered_folder_files_nothing_twice(house: House, dovecot: Dovecot, user: str, *, changed: bool) -> None:
    dovecot.deliver(user, booking_messages(120))
    house.good("import", "main")
    if changed:
        dovecot.rewrite(user, "INBOX", header_changed)
    dovecot.renumber(user)
    dovecot.deliver(user, booking_messages(3, seed=2))
    (report,) = house.good("import", "main", "--json").rows
    assert report["listed"] == 123
    assert (report["filed"], report["duplicate"]) == (3, 0)
    assert len(house.good("mail", "list", "--limit", "1000", "--json").rows) == 123
    (folder,) = house.good("audit", "main", "--json").rows
    assert folder["proven"]
    assert folder["gone"] == 120
    assert len(folder["grown"]) == (120 if changed else 0)
    (again,) = house.good("import", "main", "--json").rows
    assert again["listed"] == 0


@pytest.mark.parametrize("house", ["imap"], indirect=True)
def test_two_alike_by_headers_are_fetched_and_told_apart_by_digest(house: House, dovecot: Dovecot, user: str) -> None:
    """Different mail does share a Message-ID: what fits several is fetched, and only equal bytes are a duplicate."""
    raw = next(iter(booking_messages(1)))
    twins = [raw, raw + b"and more\r\n"]
    dovecot.deliver(user, twins, arrival=datetime(2026, 1, 5, tzinfo=UTC))
    house.good("import", "main")
    dovecot.renumber(user)
    (report,) = house.good("import", "main", "--json").rows
    assert (report["listed"], report["filed"], report["duplicate"]) == (2, 0, 2)
    assert len(house.good("mail", "list", "--json").rows) == 2


@pytest.mark.parametrize("house", ["imap"], indirect=True)
def test_equal_bytes_in_two_folders_are_one_mail(house: House, dovecot: Dovecot, user: str) -> None:
    (raw,) = booking_messages(1)
    dovecot.deliver(user, [raw])
    dovecot.deliver(user, [raw], folder="Archive")
    text = (house.folder / "accounts/main.yaml").read_text()
    house.write("accounts/main.yaml", text.replace("[INBOX]", "[INBOX, Archive]"))
    (report,) = house.good("import", "main", "--json").rows
    assert (report["filed"], report["duplicate"]) == (1, 1)


@pytest.mark.parametrize("house", ["imap", "pop3"], indirect=True)
def test_start_now_offers_what_was_there_and_takes_what_comes(house: House, dovecot: Dovecot, user: str) -> None:
    text = (house.folder / "accounts/main.yaml").read_text()
    house.write("accounts/main.yaml", text + "  start: now\n")
    dovecot.deliver(user, booking_messages(5))
    (first,) = house.good("import", "main", "--json").rows
    assert (first["listed"], first["filed"]) == (5, 0)
    dovecot.deliver(user, booking_messages(2, seed=2))
    (second,) = house.good("import", "main", "--json").rows
    assert (second["listed"], second["filed"]) == (2, 2)
    (folder,) = house.good("audit", "main", "--json").rows
    assert folder["states"] == {"filed": 2, "offered": 5}
    assert folder["proven"]
    (third,) = house.good("import", "main", "--from-beginning", "--json").rows
    assert third["filed"] == 5
    assert len(house.good("mail", "list", "--json").rows) == 7


@pytest.mark.parametrize("house", ["imap"], indirect=True)
def test_start_date_takes_what_arrived_since(house: House, dovecot: Dovecot, user: str) -> None:
    text = (house.folder / "accounts/main.yaml").read_text()
    house.write("accounts/main.yaml", text + "  start: 2026-01-31\n")
    dovecot.deliver(user, booking_messages(3), arrival=datetime(2026, 1, 30, 12, tzinfo=UTC))
    dovecot.deliver(user, booking_messages(2, seed=2), arrival=datetime(2026, 1, 31, 12, tzinfo=UTC))
    (report,) = house.good("import", "main", "--json").rows
    assert (report["listed"], report["filed"]) == (5, 2)


@pytest.mark.parametrize("house", ["imap", "pop3"], indirect=True)
def test_a_single_offered_key_can_be_taken(house: House, dovecot: Dovecot, user: str) -> None:
    text = (house.folder / "accounts/main.yaml").read_text()
    house.write("accounts/main.yaml", text + "  start: now\n")
    dovecot.deliver(user, booking_messages(3))
    keys = [row["key"] for row in house.good("import", "main", "--dry-run", "--json").rows]
    assert len(keys) == 3
    house.good("import", "main")
    assert house.good("import", "main", "--dry-run", "--json").rows == []
    (report,) = house.good("import", "main", "--key", keys[1], "--json").rows
    assert report["filed"] == 1
    assert house.good("mail", "list", "--json").rows[0]["key"] == keys[1]


@pytest.mark.parametrize("house", ["imap", "pop3"], indirect=True)
def test_P1_form_mail_without_id_and_date_is_never_taken_for_other_mail(house: House, dovecot: Dovecot, user: str) -> None:
    """Forms send From and Subject alone: alike in headers, arrival and size, and still other mail."""

    def form(text: str) -> bytes:
        return f"From: form-{text[0]}@example.com\r\nSubject: inquiry\r\n\r\n{text}\r\n".encode()

    arrival = datetime(2026, 1, 5, tzinfo=UTC)
    dovecot.deliver(user, [form("a one"), form("b one")], arrival=arrival)
    house.good("import", "main")
    with dovecot.client(user) as client:
        client.select("INBOX")
        client.store("1:*", "+FLAGS", "\\Deleted")
        client.expunge()
    dovecot.renumber(user)
    dovecot.deliver(user, [form("a two"), form("b two")], arrival=arrival)
    (report,) = house.good("import", "main", "--json").rows
    assert (report["listed"], report["filed"]) == (2, 2)
    assert len(house.good("mail", "list", "--json").rows) == 4
