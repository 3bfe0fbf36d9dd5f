"""A server that only estimates sizes: its mail is filed, and an audit proves it by having it once more (P1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.messages import booking_messages
from tests.e2e.house import House
from tests.plugins.pop3_script import Script, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Estimating(Script):
    """It lists each message with some bytes too many."""

    def listing(self, word: str) -> bytes:
        if word != "LIST":
            return super().listing(word)
        return self.lines([f"{n} {len(mail) + 50 + n}" for n, mail in enumerate(self.mails, 1)])


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
