"""Directories as an administrator has them: files that change, go, come back and are wrong, beside a daemon and without one."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.house import House, until

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot

PERSONS = "id,name,email\nP1,Anna Müller,anna@nord.example\n"
CUSTOMERS = "id,name,main_contact\nC1,Nord GmbH,P1\n"
CONTACTS = "owner_kind,owner_id,type,value,contact_type\n" + "".join(
    f"customer,C1,EMAIL,desk{n}@nord.example,sales\n" for n in range(10)
)


def raw(number: int, sender: str, subject: str = "Hello") -> bytes:
    return (
        f"From: {sender}\r\nTo: sales@acme.example\r\nSubject: {subject} {number}\r\nMessage-ID: <{number}@example.com>\r\n"
        f"Date: Mon, 05 Jan 2026 10:00:00 +0100\r\n\r\nText {number}\r\n"
    ).encode()


class Site:
    """An operator whose files change, and mail that comes to its account."""

    def __init__(self, folder: Path, dovecot: Dovecot) -> None:
        self.house = House(folder)
        self._dovecot = dovecot
        self.user = f"{folder.name}@example.com"
        dovecot.user(self.user, "pass")
        self.house.operator("acme", matchers="[contacts]", persons=PERSONS, customers=CUSTOMERS, contacts=CONTACTS)
        self.account()

    def account(self, contact_types: str = "", *, more: str = "") -> None:
        types = f"  contact_types: {contact_types}\n" if contact_types else ""
        self.house.account("main", "imap", self._dovecot.ports["imap"], self.user, imports=types, more=more)

    def file(self, name: str) -> Path:
        return self.house.folder / "acme" / f"{name}.csv"

    def send(self, number: int, sender: str, subject: str = "Hello") -> str:
        self._dovecot.deliver(self.user, [raw(number, sender, subject)])
        return f"<{number}@example.com>"

    def filed(self, *ids: str, seconds: float = 60) -> None:
        until(f"{ids} are filed", seconds, lambda: set(ids) <= self.house.filed().keys())

    def links(self) -> dict[str, set[str]]:
        """The records that each mail is linked to, by its Message-ID."""
        rows = self.house.good("mail", "list", "--json").rows
        return {row["message_id"]: {f"{link['kind']} {link['id']}" for link in row["links"]} for row in rows}

    def states(self) -> dict[str, int]:
        (folder,) = self.house.run("audit", "main", "--json").rows
        return dict(folder["states"])


@pytest.fixture
def site(tmp_path: Path, dovecot: Dovecot) -> Site:
    return Site(tmp_path, dovecot)


# --- a person looks -----------------------------------------------------------------------------------------------------


def test_check_names_a_contact_type_that_nobody_has_and_those_that_there_are(site: Site) -> None:
    site.file("contacts").write_text(CONTACTS + "supplier,S1,EMAIL,a@x.example,sales\ncustomer,C1,EMAIL,b@x.example,\n")
    site.account("{customer: [sale, SALES], supplier: [sales]}")
    done = site.house.good("check")
    assert "contact_types.customer: no EMAIL contact of a customer of acme has the type 'sale', did you mean 'sales'?" in done.err
    assert "There are: sales (10), none (1)" in done.err
    assert "'SALES'" not in done.err
    assert "contact_types.supplier: no EMAIL contact of a supplier of acme has the type 'sales', and none has any" in done.err
    assert "1 account, 1 operator, 0 faults." in done.err


def test_check_exits_1_where_what_was_there_before_stays_in_use_and_78_where_nothing_was(site: Site) -> None:
    site.house.good("check")
    site.file("contacts").rename(site.house.folder / "acme/contact.csv")
    done = site.house.run("check")
    assert done.code == 1
    assert "operators/acme.yaml: directory: contacts.csv: the file is gone" in done.out
    assert "warning: operators/acme.yaml: directory: contact.csv: this file is not read; did you mean 'contacts.csv'?" in done.err
    loaded = site.house.run("directory", "load", "--accept")
    assert loaded.code == 0, loaded.out
    site.house.good("check")
    site.file("persons").write_text(PERSONS.replace(",", ";"))
    assert site.house.run("check").code == 1
    for index in site.house.state.rglob("acme.index"):
        index.unlink()
    done = site.house.run("check")
    assert done.code == 78
    assert "its columns are separated by semicolons" in done.out


def test_directory_find_minds_no_umlaut_and_is_not_silent(site: Site) -> None:
    for word in ("muller", "MUELLER", "Müller"):
        assert "Anna Müller" in site.house.good("directory", "find", "person", word).out
    done = site.house.run("directory", "find", "person", "schmidt")
    assert (done.code, done.out) == (1, "")
    assert done.err == "No person of acme has this word in id, code or name.\n"
    assert site.house.run("directory", "find", "person", "schmidt", "--json").out == ""


# --- beside a daemon ----------------------------------------------------------------------------------------------------


def test_mail_that_comes_after_a_change_is_judged_by_the_new_records(site: Site) -> None:
    with site.house.daemon() as daemon:
        first = site.send(1, "new@nord.example")
        site.filed(first)
        assert site.links()[first] == set()
        until("the daemon has looked", 20, lambda: "directory loaded" in daemon.log)
        site.file("persons").write_text(PERSONS + "P2,New,new@nord.example\n")
        time.sleep(1)
        second = site.send(2, "new@nord.example")
        site.filed(second)
        assert site.links()[second] == {"person P2"}
        # However long it is ago.
        site.file("customers").write_text(CUSTOMERS + "C2,Sued,P2\n")
        time.sleep(8)
        third = site.send(3, "new@nord.example")
        site.filed(third)
        assert site.links()[third] == {"person P2", "customer C2"}
        assert "visit note" not in daemon.log


@pytest.mark.parametrize("way", ["grows", "is deleted and written anew", "stops in the middle"])
def test_an_export_that_takes_six_seconds_makes_no_mail_not_admitted(site: Site, way: str) -> None:
    site.account("{customer: [sales]}")
    lines = CONTACTS.splitlines(keepends=True)

    def export() -> None:
        path = site.file("contacts")
        if way == "is deleted and written anew":
            path.unlink()
            time.sleep(1)
        with path.open("w") as file:
            for number, line in enumerate(lines):
                file.write(line)
                file.flush()
                time.sleep(6 if way == "stops in the middle" and number == 7 else 0 if way == "stops in the middle" else 0.5)

    with site.house.daemon():
        site.filed(site.send(1, "desk9@nord.example"))
        thread = threading.Thread(target=export)
        thread.start()
        ids = []
        for number in range(2, 8):
            ids.append(site.send(number, "desk9@nord.example"))
            time.sleep(1)
            assert "not admitted" not in site.states()
        thread.join()
        site.filed(*ids)
        assert site.states() == {"filed": 7}


def test_a_verdict_by_older_records_is_corrected_links_rules_and_admission(site: Site) -> None:
    """A file behind a link: nobody sees it change, so that mail is judged by the old records until the next look."""
    behind = site.house.folder.parent / "export"
    behind.mkdir()
    for name in ("persons", "contacts"):
        site.file(name).rename(behind / f"{name}.csv")
        site.file(name).symlink_to(behind / f"{name}.csv")
    site.account("{customer: [sales]}")
    text = (site.house.folder / "operators/acme.yaml").read_text()
    rules = "forward:\n  - {when: {linked: person}, to: duty}\n"
    targets = "targets:\n  duty: {kind: smtp, account: out, to: [duty@example.com]}\n"
    site.house.write("operators/acme.yaml", text + targets + rules)
    site.house.write(
        "accounts/out.yaml",
        "kind: smtp\noperators: [acme]\nhost: localhost\nport: 9\nsecurity: none\ninsecure: true\nsend: {from: {email: out@acme.example}}\n",
    )
    with site.house.daemon() as daemon:
        site.filed(site.send(1, "desk1@nord.example"))
        until("the daemon has looked", 20, lambda: "directory loaded" in daemon.log)
        until("its verdict is final", 30, lambda: site.house.read("SELECT count(*) FROM provisional") == [(0,)])
        (behind / "persons.csv").write_text(PERSONS + "P2,Desk,desk1@nord.example\nP3,New,new@nord.example\n")
        (behind / "contacts.csv").write_text(CONTACTS + "customer,C1,EMAIL,new@nord.example,sales\n")
        known, new = site.send(2, "desk1@nord.example"), site.send(3, "new@nord.example")
        site.filed(known, new)
        until("its links are those of the new records", 60, lambda: site.links()[known] == {"person P2", "customer C1"})
        until("so are those of the other", 60, lambda: site.links()[new] == {"person P3", "customer C1"})
        until("both go on", 60, lambda: len(site.house.good("outbox", "list", "--json").rows) == 2)
        assert {row["target"] for row in site.house.good("outbox", "list", "--json").rows} == {"duty"}
        # What was judged by the records of its time stays as it is, whatever comes later.
        assert site.links()["<1@example.com>"] == {"customer C1"}
    assert len(site.house.good("outbox", "list", "--json").rows) == 2


def test_not_admitted_is_lifted_by_settings_records_and_a_person(site: Site) -> None:
    site.account("{customer: [sale]}")
    with site.house.daemon() as daemon:
        first, second, third = site.send(1, "desk1@nord.example"), site.send(2, "new@nord.example"), site.send(3, "x@far.example")
        until("none is admitted", 60, lambda: site.states() == {"not admitted": 3})
        rows = site.house.good("queue", "refused", "--json").rows
        assert [(row["account"], row["senders"]) for row in rows] == [
            ("main", ["desk1@nord.example"]),
            ("main", ["new@nord.example"]),
            ("main", ["x@far.example"]),
        ]
        # The slip is corrected.
        site.account("{customer: [sales]}")
        site.filed(first)
        # The contact is entered.
        site.file("contacts").write_text(CONTACTS + "customer,C1,EMAIL,new@nord.example,sales\n")
        site.filed(second)
        assert third not in site.house.filed()
        assert "x@far.example" in site.house.good("queue", "refused").out
        # A person admits.
        done = site.house.good("queue", "admit", rows[2]["id"])
        assert "1" in done.out
        site.filed(third)
        assert site.states() == {"filed": 3}
        assert site.house.good("queue", "refused").err == "No mail is not admitted.\n"
        assert site.house.run("queue", "admit", rows[2]["id"]).code == 1
        assert "visit problem" not in daemon.log


def test_mail_that_one_operator_admits_is_filed_for_another_that_refused_it_once_its_records_know_the_sender(site: Site) -> None:
    new = "customer,C1,EMAIL,new@nord.example,sales\n"
    site.file("contacts").write_text(CONTACTS + new)
    site.house.operator("globex", matchers="[contacts]", persons=PERSONS, customers=CUSTOMERS, contacts=CONTACTS)
    site.account("{customer: [sales]}", more="operators: [acme, globex]\n")

    def filed() -> list[str]:
        return [operator for (operator,) in site.house.read("SELECT operator FROM filing ORDER BY operator")]

    with site.house.daemon() as daemon:
        site.send(1, "new@nord.example")
        until("it is filed", 60, lambda: filed() == ["acme"])
        until("that is final", 60, lambda: site.house.read("SELECT count(*) FROM provisional") == [(0,)])
        (site.house.folder / "globex/contacts.csv").write_text(CONTACTS + new)
        until("it is filed for the other, too", 60, lambda: filed() == ["acme", "globex"])
        assert site.house.read("SELECT count(*) FROM refused_filing") == [(0,)]
        (row,) = site.house.good("mail", "list", "--operator", "globex", "--json").rows
        assert [link["id"] for link in row["links"]] == ["C1"]
        assert "visit problem" not in daemon.log
    site.house.good("audit", "main")


def test_not_admitted_is_lifted_without_a_daemon(site: Site) -> None:
    site.account("{customer: [sales]}")
    ids = [site.send(number, f"new{number}@far.example") for number in (1, 2, 3)]
    (row,) = site.house.good("import", "main", "--json").rows
    assert row["not_admitted"] == 3
    (row,) = site.house.good("import", "main", "--json").rows
    assert (row["filed"], row["not_admitted"]) == (0, 0)
    refused = site.house.good("audit", "main", "--list", "not admitted", "--json").rows
    done = site.house.run("import", "main", "--key", refused[0]["key"])
    assert done.code == 1
    assert "still from nobody of the account's contact types" in done.err
    assert "gatewayd queue admit" in done.err
    site.file("contacts").write_text(CONTACTS + "customer,C1,EMAIL,new1@far.example,sales\n")
    (row,) = site.house.good("import", "main", "--key", refused[0]["key"], "--json").rows
    assert row["filed"] == 1
    site.file("contacts").write_text(CONTACTS + "".join(f"customer,C1,EMAIL,new{n}@far.example,sales\n" for n in (1, 2)))
    (row,) = site.house.good("import", "main", "--from-beginning", "--json").rows
    assert row["filed"] == 1
    site.account()
    (row,) = site.house.good("import", "main", "--json").rows
    assert row["filed"] == 1
    assert set(site.house.filed()) == set(ids)


def test_status_tells_how_directories_are(site: Site) -> None:
    def shown() -> dict[str, Any]:
        return next((row for row in site.house.run("status", "--json").rows if row["type"] == "directory"), {})

    def turned(condition: str) -> dict[str, Any]:
        until(f"it is {condition}", 60, lambda: shown().get("condition") == condition)
        return shown()

    site.file("persons").write_text(PERSONS + "P2,too few\nP3,Odd,odd\n")
    with site.house.daemon() as daemon:
        row = turned("current")
        assert row["rows"] == {"persons.csv": 2, "customers.csv": 1, "contacts.csv": 10, "products.csv": 18}
        assert row["faults"] == ["persons.csv:3: expected 3 columns, found 2"]
        assert row["warnings"] == ["persons.csv:4: 'odd' is no mail address"]
        assert row["loaded_at"]
        assert row["looked_at"]
        until("the account is well", 30, lambda: site.house.run("status").code == 0)
        site.file("contacts").unlink()
        assert turned("outdated")["error"].startswith("contacts.csv: the file is gone")
        done = site.house.run("status")
        assert done.code == 1
        assert "contacts.csv: the file is gone" in done.out
        assert "Directory acme: persons.csv:3: expected 3 columns, found 2" in done.out
        assert "directory failed operator=acme" in daemon.log
        site.file("contacts").write_text(CONTACTS)
        until("all is well again", 30, lambda: site.house.run("status").code == 0)
        assert "directory well again operator=acme" in daemon.log
    assert shown()["condition"] == "unattended"
