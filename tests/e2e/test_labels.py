"""Gmail shows a message in the folder of each of its labels, and in All Mail: it is filed once (P1), and fetched once."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.messages import booking_messages
from tests.e2e.house import House
from tests.plugins.gmail_server import ALL_MAIL, Gmail, GmailSite
from tests.plugins.scripted import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot


def test_P1_a_message_in_the_folders_of_several_labels_is_filed_once(dovecot: Dovecot, tmp_path: Path) -> None:
    house = House(tmp_path)
    house.operator("acme")
    dovecot.user("labels", "pass")
    inbox, labelled, archived, new = list(booking_messages(4))
    dovecot.deliver("labels", [inbox, labelled])
    dovecot.deliver("labels", [labelled], folder="Trips")
    dovecot.deliver("labels", [inbox, labelled, archived], folder=ALL_MAIL)
    house.account("main", "imap", dovecot.ports["imap"], "labels", folders=f"[INBOX, Trips, {ALL_MAIL!r}]")
    (first,) = house.good("import", "main", "--json").rows
    assert (first["listed"], first["filed"], first["duplicate"]) == (6, 3, 3)

    dovecot.deliver("labels", [new])
    dovecot.deliver("labels", [new], folder=ALL_MAIL)
    # A label that is given later.
    dovecot.deliver("labels", [archived], folder="Trips")
    (second,) = house.good("import", "main", "--json").rows
    assert (second["listed"], second["filed"], second["duplicate"]) == (3, 1, 2)
    assert all(folder["proven"] for folder in house.good("audit", "main", "--json").rows)
    assert len(house.good("mail", "list", "--json").rows) == 4


EVERY = f"[INBOX, Trips, {ALL_MAIL!r}]"


@pytest.fixture
def gmail(dovecot: Dovecot) -> Iterator[Gmail]:
    with serving(Gmail(dovecot.ports["imap"])) as gmail:
        yield gmail


class Mailbox:
    """A mailbox on Gmail and its account."""

    def __init__(self, folder: Path, dovecot: Dovecot, gmail: Gmail, folders: str = EVERY, imports: str = "") -> None:
        self.site, self.gmail = GmailSite(dovecot, gmail, password="pass"), gmail
        for name in (ALL_MAIL, "Trips", "Done"):
            dovecot.deliver(self.site.user, (), name)
        self.house = House(folder)
        self.house.operator("acme")
        self.house.account("main", "imap", gmail.port, self.site.user, folders=folders, imports=imports)

    def deliver(self, *messages: bytes) -> None:
        self.site.dovecot.deliver(self.site.user, messages, ALL_MAIL)

    def imported(self, *words: str) -> tuple[int, int, int]:
        """Import, and return how many keys were listed, and how many were filed and duplicates."""
        (row,) = self.house.good("import", "main", "--json", *words).rows
        return row["listed"], row["filed"], row["duplicate"]

    def is_proven(self) -> None:
        audited = self.house.good("audit", "main", "--json").rows
        assert all(folder["proven"] for folder in audited), audited

    def count(self, folder: str) -> int:
        return len(self.site.dovecot.snapshot(self.site.user, folder).uids)


def test_P1_what_gmail_shows_in_several_folders_is_fetched_once(dovecot: Dovecot, gmail: Gmail, tmp_path: Path) -> None:
    box = Mailbox(tmp_path, dovecot, gmail)
    box.deliver(*booking_messages(3))
    box.site.label(0, "INBOX")
    box.site.label(1, "INBOX", "Trips")
    assert box.imported() == (6, 3, 3)
    assert sorted(gmail.bodies) == sorted(booking_messages(3))
    box.is_proven()
    gmail.bodies.clear()
    # A label that is given later, and another one in place of INBOX.
    box.site.label(2, "Trips")
    box.site.relabel(0, "INBOX", "Trips")
    assert box.imported() == (2, 0, 2)
    # New numbers.
    dovecot.renumber(box.site.user, "Trips")
    assert box.imported()[1] == 0
    assert gmail.bodies == []
    box.is_proven()
    assert len(gmail.bodies) == 0
    assert len(box.house.good("mail", "list", "--json").rows) == 3


def test_P3_what_is_done_to_a_message_of_one_label_leaves_its_others(dovecot: Dovecot, gmail: Gmail, tmp_path: Path) -> None:
    box = Mailbox(tmp_path, dovecot, gmail, "[INBOX, Trips]", "  after: {move: Done}\n")
    box.deliver(*booking_messages(2))
    box.site.label(0, "INBOX", "Trips")
    box.site.label(1, "Trips")
    assert box.imported() == (3, 2, 1)
    assert {name: box.count(name) for name in ("INBOX", "Trips", "Done", ALL_MAIL)} == {
        "INBOX": 0,
        "Trips": 0,
        "Done": 3,
        ALL_MAIL: 2,
    }
    # It gets its label again.
    box.site.label(0, "INBOX")
    assert box.imported() == (1, 0, 1)
    assert (box.count("INBOX"), box.count("Done")) == (0, 4)
    assert sorted(gmail.bodies) == sorted(booking_messages(2))


def test_P7_rules_fire_once_for_a_message_however_its_labels_change(dovecot: Dovecot, gmail: Gmail, tmp_path: Path) -> None:
    box = Mailbox(tmp_path, dovecot, gmail)
    rule = (
        "targets: {crm: {kind: webhook, url: 'https://crm.example.com/mail', secret: !file hook}}\nforward: [{when: {}, to: crm}]\n"
    )
    box.house.write("hook", "whsec_" + "c2VjcmV0" * 4)
    box.house.operator("acme", more=rule)
    box.imported()
    box.deliver(*booking_messages(1))
    box.site.label(0, "INBOX")
    assert box.imported() == (2, 1, 1)
    box.site.relabel(0, "INBOX", "Trips")
    assert box.imported() == (1, 0, 1)
    box.site.relabel(0, "Trips", "INBOX")
    assert box.imported() == (1, 0, 1)
    assert len(box.house.good("outbox", "list", "--json").rows) == 1
    assert len(gmail.bodies) == 1


def test_P1_a_database_of_before_learns_what_gmail_calls_its_messages(dovecot: Dovecot, gmail: Gmail, tmp_path: Path) -> None:
    box = Mailbox(tmp_path, dovecot, gmail)
    box.deliver(*booking_messages(2))
    box.site.label(0, "INBOX")
    gmail.announces = False
    assert box.imported() == (3, 2, 1)
    assert len(gmail.bodies) == 3
    gmail.announces = True
    box.imported("--from-beginning")
    box.site.label(0, "Trips")
    box.site.label(1, "Trips")
    assert box.imported() == (2, 0, 2)
    assert len(gmail.bodies) == 3
    box.is_proven()


def test_P1_messages_that_a_server_calls_the_same_are_others_if_anything_differs(
    dovecot: Dovecot, gmail: Gmail, tmp_path: Path
) -> None:
    box = Mailbox(tmp_path, dovecot, gmail)
    gmail.calls_all = 7
    first, second = list(booking_messages(2))
    # It has the size of the second, and another Message-ID; the fourth is its like, and has other bytes.
    third = second.replace(b"Message-ID: <", b"Message-ID: <x")[:-1]
    fourth = third.replace(b"Subject: ", b"subject: ")
    at = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    for one in (first, second, third, fourth):
        dovecot.deliver(box.site.user, [one], ALL_MAIL, arrival=at)
    for position in range(4):
        box.site.label(position, "INBOX")
    assert box.imported() == (8, 4, 4)
    # Of the last two nobody can say which one it is.
    assert Counter(gmail.bodies) == {first: 1, second: 1, third: 2, fourth: 2}
    box.is_proven()
