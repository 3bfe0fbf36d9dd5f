"""Commands that match: a matcher that hangs or raises holds up neither the command nor innocent mail, and its author learns where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.house import House

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot

PLUGIN = """
import json, time
from gatewayd import Directory, Link, Matcher, TransientError, hookimpl

class Shaky(Matcher):
    '''Raises and hangs.'''
    kind = "shaky"

    def match(self, mails, directory):
        (trip,) = directory.find("product", "id", {"1"})["1"]
        for mail in mails:
            if "hang" in mail.subject:
                time.sleep(1000)
            if "raise" in mail.subject:
                json.loads("{")
            yield Link(mail.id, trip, "a trip")

class Asks(Shaky):
    '''Asks a directory that is down.'''
    kind = "asks"

class Asks2(Shaky):
    '''The same again.'''
    kind = "asks-too"

class Down(Directory):
    '''It is down.'''
    kind = "down"

    def refresh(self):
        return []

    def find(self, kind, field, values):
        raise TransientError("the database is away")

    persons = contacts = lambda self, emails: {}

    def search(self, kind, text, *, limit=20):
        return ()

@hookimpl
def gatewayd_matchers():
    return [Shaky, Asks, Asks2]

@hookimpl
def gatewayd_directories():
    return [Down]

@hookimpl
def gatewayd_mail_filed(event):
    print("heard of", event.mail_id)
    with open(f"{__file__}.heard", "a") as heard:
        print(event.mail_id, event.operators, len(event.filings[0].links), file=heard)

@hookimpl
def gatewayd_mail_failed(event):
    with open(f"{__file__}.heard", "a") as heard:
        print(event.mail_id, event.by, file=heard)
"""


def message(number: int, subject: str) -> bytes:
    return (
        f"Message-ID: <{number}@example.com>\r\nDate: Mon, 05 Jan 2026 10:00:{number:02} +0100\r\nFrom: anna@example.com\r\n"
        f"Subject: {subject}\r\n\r\nText\r\n"
    ).encode()


@pytest.fixture
def house(tmp_path: Path, dovecot: Dovecot) -> House:
    house = House(tmp_path)
    user = f"{tmp_path.name}@example.com"
    dovecot.user(user, "pass")
    dovecot.deliver(user, [message(number, "hang" if number == 9 else f"fine {number}") for number in range(1, 13)])
    house.write(
        "gatewayd.yaml",
        f"state: {house.state}\nplugins: {{folder: plugins, deadline: 60s}}\nworkers: {{processes: 1, deadline: 3s, budget: 60s}}\n",
    )
    house.write("plugins/shaky.py", PLUGIN)
    house.operator("acme", matchers="[shaky]")
    house.account("main", "imap", dovecot.ports["imap"], user)
    return house


def test_P4_import_links_all_innocent_mail_and_observers_hear_of_it(house: House) -> None:
    done = house.good("import", "main", "--json")
    (row,) = done.rows
    assert (row["filed"], row["queued"]) == (12, 1)
    assert "heard of" in done.err
    mails = house.good("mail", "list", "--json").rows
    assert {one["subject"] for one in mails if one["links"]} == {f"fine {number}" for number in range(1, 13) if number != 9}
    (faulty,) = [one for one in mails if one["errors"]]
    assert (faulty["subject"], faulty["errors"][0]["by"]) == ("hang", "shaky")
    heard = (house.folder / "plugins" / "shaky.py.heard").read_text().splitlines()
    assert sorted(heard) == sorted([f"{one['id']} ('acme',) {len(one['links'])}" for one in mails] + [f"{faulty['id']} shaky"])
    # Another try comes to its end, too.
    done = house.run("queue", "retry")
    assert (done.code, done.err.splitlines()[-1]) == (1, "0 mended, 1 still faulty.")
    explained = house.run("explain", faulty["id"], "--json")
    assert explained.code == 1
    assert [(one["by"], one["said"]) for one in explained.rows if "by" in one] == [("shaky", "fault")]


def test_explain_shows_the_authors_line_and_says_by_its_exit_code_that_something_failed(house: House, tmp_path: Path) -> None:
    (tmp_path / "raise.eml").write_bytes(message(1, "raise"))
    (tmp_path / "fine.eml").write_bytes(message(2, "fine"))
    done = house.run("explain", tmp_path / "raise.eml", "--traceback")
    assert done.code == 1
    assert "JSONDecodeError" in done.out
    assert "(shaky.py:15)" in done.out
    assert 'shaky.py", line 15, in match' in done.err
    assert "decoder.py" in done.err
    # On a busy machine it also says that it is importing the plugin.
    said = house.good("explain", tmp_path / "fine.eml").err
    assert "shaky:" not in said
    assert "Traceback" not in said


def test_explain_says_once_that_the_directory_is_at_fault_and_who_could_not_ask_it(house: House, tmp_path: Path) -> None:
    (tmp_path / "fine.eml").write_bytes(message(2, "fine"))
    house.write("operators/acme.yaml", "directory: {kind: down}\nmatchers: [asks, asks-too]\n")
    done = house.run("explain", tmp_path / "fine.eml", "--json")
    assert done.code == 1
    rows = [(one["by"], one["said"], one["because"]) for one in done.rows if "by" in one]
    unanswered = "the directory could not answer it"
    assert sorted(rows) == [
        ("asks", "nothing", unanswered),
        ("asks-too", "nothing", unanswered),
        ("directory", "fault", "the database is away"),
    ]
