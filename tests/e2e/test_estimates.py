"""A server that only estimates sizes: its mail is filed, and proven by having it once more (P1, P3)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.messages import booking_messages
from tests.e2e.house import House, until
from tests.plugins.pop3_script import Script
from tests.plugins.scripted import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Estimating(Script):
    """It lists each message with some bytes too many."""

    def listing(self, word: str) -> bytes:
        if word != "LIST":
            return super().listing(word)
        return self.lines([f"{n} {len(mail) + 50 + n}" for n, mail in enumerate(self.mails, 1)])


class Deleting(Estimating):
    """It lists each message with 50 bytes too many, and deletes at QUIT what it was told to."""

    def __init__(self, mails: list[bytes]) -> None:
        super().__init__(mails, uidls=[b"u%d" % number for number in range(1, len(mails) + 1)])
        #: How often each message was sent, by its UIDL.
        self.sent: Counter[bytes] = Counter()
        #: What is sent in place of the first message, once.
        self.notice = b""

    def reply(self, line: str) -> bytes:
        if line.startswith("RETR "):
            self.sent[self.names()[int(line[5:]) - 1]] += 1
            if self.notice and self.names()[int(line[5:]) - 1] == b"u1":
                return self._noticed(line)
        answer = super().reply(line)
        if line == "QUIT":
            stay = [number for number in range(len(self.mails)) if number + 1 not in self.deleted]
            names = self.names()
            self.mails, self.uidls = [self.mails[number] for number in stay], [names[number] for number in stay]
            self.deleted.clear()
        return answer

    def _noticed(self, line: str) -> bytes:
        message, self.mails[0], self.notice = self.mails[0], self.notice, b""
        answer = super().reply(line)
        self.mails[0] = message
        return answer

    def listing(self, word: str) -> bytes:
        if word != "LIST":
            return super().listing(word)
        return self.lines([f"{n} {len(mail) + 50}" for n, mail in enumerate(self.mails, 1)])


@pytest.fixture
def script() -> Iterator[Script]:
    with serving(Estimating(list(booking_messages(6)))) as server:
        yield server


@pytest.fixture
def house(script: Script, tmp_path: Path) -> House:
    house = House(tmp_path)
    house.operator("acme", matchers="[reservations]", reservations="id,code,title\nR756,B-756,Rome\n")
    house.account("main", "pop3", script.port, "anna")
    return house


def test_P1_an_audit_proves_mail_of_another_size_than_is_listed_by_having_the_same_bytes_once_more(
    script: Script, house: House
) -> None:
    house.good("import", "main")
    audit = house.good("audit", "main")
    assert "6 keys, such as u1, u2, u3: listed with another size than the server sends" in audit.err
    (row,) = house.good("audit", "main", "--json").rows
    assert (row["unlike"], len(row["inexact"]), row["proven"]) == ([], 6, True)
    # One message is another by now, under the same key and of the same length; another one can't be had.
    script.mails[1] = script.mails[1].replace(b"Message-ID: <", b"Message-ID: >")
    script.replies["RETR 4"] = b"-ERR not now\r\n"
    (row,) = house.run("audit", "main", "--json").rows
    assert (row["unlike"], row["proven"]) == (["u2", "u4"], False)


def test_P1_what_may_stand_in_for_a_message_is_not_proven_because_it_is_sent_again(script: Script, house: House) -> None:
    house.good("import", "main")
    filed = list(script.mails)
    script.mails[0] = script.mails[1] = filed[2]
    (row,) = house.run("audit", "main", "--json").rows
    assert (row["unlike"], row["proven"]) == (["u1", "u2", "u3"], False)


def retrs(script: Script) -> Counter[str]:
    return Counter(line for line in script.heard if line.startswith("RETR "))


def slow(house: House, after: str) -> None:
    house.write("gatewayd.yaml", f"{(house.folder / 'gatewayd.yaml').read_text()}limits: {{reread_after: {after}}}\n")


def rereads(house: House) -> int:
    (row,) = [row for row in house.run("status", "--json").rows if row["type"] == "account"]
    return int(row["rereads"])


def test_P3_mail_of_estimated_sizes_is_deleted_once_the_same_bytes_came_again(script: Script, house: House) -> None:
    slow(house, "1h")
    house.account("main", "pop3", script.port, "anna", imports="  after: delete\n")
    house.good("import", "main")
    assert (script.deleted, retrs(script)) == (set(), {f"RETR {number}": 1 for number in range(1, 7)})
    house.good("import", "main")
    assert (script.deleted, retrs(script).total()) == (set(), 6), "it is too early"
    assert rereads(house) == 6
    status = house.run("status").out
    assert "Account main: 6 messages filed with another size than the server lists. Before anything is done" in status
    audit = house.good("audit", "main")
    assert (
        "6 keys, such as u1, u2, u3: filed with another size than the server lists. A later visit fetches them once more"
        in audit.err
    )
    (row,) = house.good("audit", "main", "--json").rows
    assert (len(row["rereads"]), row["proven"]) == (6, True)


def test_P3_a_daemon_fetches_estimated_mail_once_more_and_deletes_it(house: House) -> None:
    script = Deleting(list(booking_messages(6)))
    with serving(script):
        slow(house, "3s")
        house.account("main", "pop3", script.port, "anna", imports="  after: delete\n  every: 1s\n")
        head, _, body = script.mails[0].partition(b"\r\n\r\n")
        # As long as the message, so that it is listed as that.
        script.notice = head + b"\r\n\r\n" + b"It is being scanned.\r\n".rjust(len(body))
        with house.daemon():
            until("all is deleted", 60, lambda: not script.mails)
        assert len(house.good("mail", "list", "--operator", "acme", "--json").rows) == 7, "the notice, and the message"
        assert {uidl: times for uidl, times in script.sent.items() if uidl != b"u1"} == {b"u%d" % n: 2 for n in range(2, 7)}
    assert rereads(house) == 0
