"""A notice to the administrators says what is wrong and what to do, and nothing in it breaks it."""

from __future__ import annotations

import email.policy
import json
from datetime import UTC, datetime
from email.parser import BytesParser
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from gatewayd import Address, Alarm, Notice, Standing, notice_mail, notice_row
from tests.unit.alarms import alarm

if TYPE_CHECKING:
    from email.message import EmailMessage


SINCE = datetime(2026, 11, 28, 9, 30, tzinfo=UTC)


def notice(*begun: Alarm, over: tuple[Alarm, ...] = ()) -> Notice:
    return Notice(
        message_id="<gatewayd.notice.1@acme.example>",
        at=SINCE,
        host="mx1",
        begun=tuple(Standing(alarm=one, since=SINCE) for one in begun),
        over=tuple(Standing(alarm=one, since=SINCE) for one in over),
        sender=Address(name="Ácme, Tours", email="system@acme.example"),
        to=("ada@example.com", "bob@example.com"),
    )


def read(one: Notice) -> EmailMessage:
    raw = b"".join(notice_mail(one).pieces())
    assert notice_mail(one).size == len(raw)
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert raw.replace(b"\r\n", b"").count(b"\n") == raw.replace(b"\r\n", b"").count(b"\r") == 0
    return BytesParser(policy=email.policy.default).parsebytes(raw)


def test_a_notice_says_what_is_wrong_since_when_what_to_do_and_what_is_over() -> None:
    store = Alarm(kind="store", error="the disk is full", advice="Make room on the disk; the work goes on by itself.")
    directory = Alarm(kind="directory", name="acme", error="persons.csv is gone")
    mail = read(notice(alarm(), store, over=(directory,)))
    assert mail["Subject"] == "gatewayd on mx1: 2 things need you, the directory of acme well again"
    assert mail["To"] == "ada@example.com, bob@example.com"
    assert mail["From"].addresses[0].addr_spec == "system@acme.example"
    assert (mail["Auto-Submitted"], mail["Message-ID"]) == ("auto-generated", "<gatewayd.notice.1@acme.example>")
    assert mail.get_content().replace("\r\n", "\n") == (
        "This needs you:\n\naccount sales, since 2026-11-28 09:30 UTC\n    the log-in as anna was refused\n    Correct the password.\n\n"
        "the store, since 2026-11-28 09:30 UTC\n    the disk is full\n    Make room on the disk; the work goes on by itself.\n\n"
        "This is over:\n\nthe directory of acme, since 2026-11-28 09:30 UTC\n\n`gatewayd status` on mx1 shows how everything is.\n"
    )
    row = notice_row(notice(alarm(), over=(directory,)))
    assert json.loads(json.dumps(row)) == {
        "host": "mx1",
        "begun": [
            {
                "kind": "account",
                "name": "sales",
                "since": "2026-11-28T09:30:00Z",
                "error": "the log-in as anna was refused",
                "advice": "Correct the password.",
            }
        ],
        "over": [
            {"kind": "directory", "name": "acme", "since": "2026-11-28T09:30:00Z", "error": "persons.csv is gone", "advice": ""}
        ],
    }


def test_of_many_alarms_the_number_is_told() -> None:
    text = read(notice(*(alarm(f"a{number}") for number in range(1000)))).get_content()
    assert "account a19," in text
    assert "account a20," not in text
    assert "and 980 more" in text


@given(st.text(max_size=200), st.text(max_size=2000))
def test_whatever_a_server_said_is_text_of_a_notice_and_nothing_else(error: str, advice: str) -> None:
    mail = read(notice(alarm(error=error, advice=advice)))
    assert not mail.defects
    assert mail.keys() == read(notice(alarm())).keys()
    assert mail.get_content_type() == "text/plain"
