"""Two operators on one general account: each sees its own (P6), and what one breaks costs nobody else anything (P4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.house import House

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot

RAISING = """
from gatewayd import Link, Matcher, hookimpl

class Raising(Matcher):
    \"\"\"Raises on some mail, and links the rest.\"\"\"
    kind = "raising"

    def match(self, mails, directory):
        (trip,) = directory.find("product", "id", {"X"})["X"]
        for mail in mails:
            if "poison" in mail.subject:
                raise ValueError("cannot bear " + mail.subject)
            yield Link(mail.id, trip, "because it can")

class Broken(Matcher):
    \"\"\"Can't even be built.\"\"\"
    kind = "broken"

    def __init__(self, options, *, operator):
        raise RuntimeError("never works")

    def match(self, mails, directory):
        return []

@hookimpl
def gatewayd_matchers():
    return [Raising, Broken]
"""


def message(number: int, subject: str, sender: str = "anna@example.com") -> bytes:
    return (
        f"Message-ID: <{number}@example.com>\r\nDate: Mon, 05 Jan 2026 10:00:{number:02} +0100\r\nFrom: {sender}\r\n"
        f"To: reservations@example.com\r\nSubject: {subject}\r\n\r\nHello {number}\r\n"
    ).encode()


@pytest.fixture
def house(tmp_path: Path, dovecot: Dovecot) -> House:
    house = House(tmp_path)
    user = f"{tmp_path.name}@example.com"
    dovecot.user(user, "pass")
    dovecot.deliver(user, [message(1, "booking 756"), message(2, "poison 756"), message(3, "nothing", "otto@example.com")])
    house.operator(
        "acme",
        matchers="[contacts, raising]",
        persons="id,name,email,temporary\nP1,Anna,ANNA@example.com,no\n",
        customers="id,name,main_contact\nC1,Nord GmbH,P1\n",
        products="id,code,title\nX,X,\n",
    )
    house.operator(
        "globetrot",
        matchers="[reservations]",
        persons="id,name,email,temporary\nP9,Annas double,anna@example.com,no\n",
        reservations="id,code,title\nR1,B-756,Rome\nR2,O-DB1-757,Oslo\n",
    )
    house.write("plugins/raising.py", RAISING)
    house.account(
        "main", "imap", dovecot.ports["imap"], user, more="operators: [acme, globetrot]\n", imports="  error_queue: front\n"
    )
    return house


def links(row: dict[str, list[dict[str, str]]]) -> set[tuple[str, str, str]]:
    return {(link["kind"], link["id"], link["by"]) for link in row["links"]}


def by_subject(house: House, operator: str) -> dict[str, dict[str, list[dict[str, str]]]]:
    return {row["subject"]: row for row in house.good("mail", "list", "--operator", operator, "--json").rows}


def test_P6_each_operator_sees_its_own_links_only(house: House) -> None:
    house.good("import", "main")
    acme, globetrot = by_subject(house, "acme"), by_subject(house, "globetrot")
    assert acme.keys() == globetrot.keys() == {"booking 756", "poison 756", "nothing"}
    assert links(acme["booking 756"]) == {("person", "P1", "contacts"), ("customer", "C1", "contacts"), ("product", "X", "raising")}
    assert links(globetrot["booking 756"]) == {("reservation", "R1", "reservations")}
    assert house.run("mail", "list").code == 2, "without --operator there is no answer"


def test_P4_raising_matcher_costs_its_own_links_of_the_guilty_mail_only(house: House) -> None:
    house.good("import", "main")
    acme = by_subject(house, "acme")
    assert links(acme["poison 756"]) == {("person", "P1", "contacts"), ("customer", "C1", "contacts")}
    assert links(acme["nothing"]) == {("product", "X", "raising")}
    told = house.good("import", "main").err
    assert "1 mail of main stands in an error queue: gatewayd queue list --all-operators" in told
    assert house.good("import", "main", "--json").rows[0]["queued"] == 1
    table = house.run("queue", "list", "--operator", "acme", environment={"COLUMNS": "80"}).out.splitlines()
    assert table[0].split() == ["id", "operator", "queue", "by", "error", "subject"]
    assert table[1].split()[1:4] == ["acme", "front", "raising"]
    (queued,) = house.good("queue", "list", "--operator", "acme", "--json").rows
    assert queued["subject"] == "poison 756"
    assert queued["queue"] == "front"
    assert queued["errors"][0]["by"] == "raising"
    assert "ValueError: cannot bear poison 756 (raising.py:" in queued["errors"][0]["error"]
    assert house.good("queue", "list", "--operator", "globetrot", "--json").rows == []


def test_queue_retry_mends_what_a_mended_matcher_can_bear(house: House) -> None:
    house.good("import", "main")
    (queued,) = house.good("queue", "list", "--operator", "acme", "--json").rows
    assert house.run("queue", "retry", "--operator", "acme").code == 1, "the matcher raises again"
    assert len(house.good("queue", "list", "--operator", "acme", "--json").rows) == 1
    house.write("plugins/raising.py", RAISING.replace('"poison"', '"nothing like this"'))
    assert "1 mended, 0 still faulty" in house.good("queue", "retry", queued["id"], "--operator", "acme").err
    assert house.good("queue", "list", "--operator", "acme", "--json").rows == []
    assert ("product", "X", "raising") in links(by_subject(house, "acme")["poison 756"])


def test_queue_discard_keeps_the_mail(house: House) -> None:
    house.good("import", "main")
    (queued,) = house.good("queue", "list", "--operator", "acme", "--json").rows
    house.good("queue", "discard", queued["id"], "--operator", "acme")
    assert house.good("queue", "list", "--operator", "acme", "--json").rows == []
    assert "poison 756" in by_subject(house, "acme")
    assert house.run("queue", "discard", queued["id"], "--operator", "acme").code == 1


def test_P4_matcher_that_cannot_be_built_refuses_its_operators_file_and_no_mail(house: House) -> None:
    house.operator("acme", matchers="[contacts, broken]", persons="id,name,email,temporary\nP1,Anna,anna@example.com,no\n")
    house.good("import", "main")
    queued = house.good("queue", "list", "--operator", "acme", "--json").rows
    assert len(queued) == 3
    assert {error["by"] for row in queued for error in row["errors"]} == {"config"}
    checked = house.run("check")
    assert checked.code == 78
    assert "operators/acme.yaml:4:22: " in checked.out
    assert "RuntimeError" in checked.out
    assert links(by_subject(house, "globetrot")["booking 756"]) == {("reservation", "R1", "reservations")}


def test_P4_faulty_operator_file_gets_its_mail_unmatched_and_matched_later(house: House) -> None:
    house.write("operators/acme.yaml", "titel: Acme\n")
    done = house.run("import", "main")
    assert done.code == 0, done.err
    assert "operators/acme.yaml" in done.err
    assert house.run("import").code == 78
    assert links(by_subject(house, "globetrot")["booking 756"]) == {("reservation", "R1", "reservations")}
    rows = house.good("queue", "list", "--operator", "acme", "--json").rows
    assert len(rows) == 3
    assert {error["by"] for row in rows for error in row["errors"]} == {"config"}
    house.operator("acme", matchers="[contacts]", persons="id,name,email,temporary\nP1,Anna,anna@example.com,no\n")
    house.good("queue", "retry", "--operator", "acme")
    assert ("person", "P1", "contacts") in links(by_subject(house, "acme")["booking 756"])


def test_P6_operator_added_later_sees_nothing_old_until_asked_for(house: House, dovecot: Dovecot, tmp_path: Path) -> None:
    text = (house.folder / "accounts/main.yaml").read_text()
    house.write("accounts/main.yaml", text.replace("[acme, globetrot]", "[acme]"))
    house.good("import", "main")
    house.write("accounts/main.yaml", text)
    dovecot.deliver(f"{tmp_path.name}@example.com", [message(4, "new 756")])
    house.good("import", "main")
    assert by_subject(house, "globetrot").keys() == {"new 756"}
    (report,) = house.good("import", "main", "--from-beginning", "--operator", "globetrot", "--json").rows
    assert report["filed"] == 3
    assert len(by_subject(house, "globetrot")) == 4
    assert links(by_subject(house, "globetrot")["booking 756"]) == {("reservation", "R1", "reservations")}
    assert house.run("import", "main", "--from-beginning", "--operator", "nobody").code == 1


def test_contact_types_decide_for_each_operator(house: House) -> None:
    contacts = "owner_kind,owner_id,type,value,contact_type\ncustomer,C1,EMAIL,Anna@Example.com,Sales\n"
    house.operator("acme", matchers="[]", customers="id,name,main_contact\nC1,Nord GmbH,\n", contacts=contacts)
    text = (house.folder / "accounts/main.yaml").read_text()
    house.write("accounts/main.yaml", text + "  contact_types: {customer: [sales]}\n")
    (report,) = house.good("import", "main", "--json").rows
    assert (report["filed"], report["not_admitted"]) == (2, 1)
    assert by_subject(house, "acme").keys() == {"booking 756", "poison 756"}
    assert by_subject(house, "globetrot") == {}
    (folder,) = house.good("audit", "main", "--json").rows
    assert folder["states"] == {"filed": 2, "not admitted": 1}
    (again,) = house.good("import", "main", "--from-beginning", "--json").rows
    assert (again["filed"], again["not_admitted"]) == (0, 0)


def test_admission_stays_undecided_while_the_directory_is_down(house: House) -> None:
    text = (house.folder / "accounts/main.yaml").read_text()
    house.write("accounts/main.yaml", text + "  contact_types: {customer: [sales]}\n")
    (house.folder / "acme").rename(house.folder / "away")
    done = house.run("import", "main", "--json")
    assert done.code == 1
    assert done.rows[0]["deferred"] == 3
    assert all("operator acme" in cause for cause in done.rows[0]["deferred_because"])
    house.write("accounts/other.yaml", f"second: true\n{(house.folder / 'accounts/main.yaml').read_text()}")
    said = house.run("import", "other").err
    assert "3 messages of other could not be had or decided this time. Nothing is lost" in said
    assert "tried again by the next import, or by a daemon" in said
    assert "operator acme" in said
    (house.folder / "accounts/other.yaml").unlink()
    waiting = house.good("audit", "main", "--list", "waiting", "--json").rows
    assert {(one["state"], one["tries"]) for one in waiting} == {("waiting", 1)}
    assert all("operator acme" in one["cause"] for one in waiting)
    assert "operator acme" in house.good("audit", "main", "--list", "waiting").out
    assert house.good("audit", "main", "--list", "filed", "--json").rows == []
    audit = house.run("audit", "main", "--json")
    assert (audit.code, audit.rows[0]["states"], len(audit.rows[0]["waiting"])) == (1, {"waiting": 3}, 3), "it is not here yet"
    assert "--list waiting" in house.run("audit", "main").err


def test_personal_mail_is_seen_by_its_user_only(house: House, dovecot: Dovecot) -> None:
    house.write(
        "operators/acme.yaml",
        (house.folder / "operators/acme.yaml").read_text() + "users:\n  irina: {name: Irina, email: i@x.com}\n",
    )
    dovecot.user("irina@example.com", "pass")
    dovecot.deliver("irina@example.com", [message(50, "personal")])
    house.account("irina", "pop3", dovecot.ports["pop3"], "irina@example.com", more="user: acme/irina\n")
    house.good("import")
    assert "personal" not in by_subject(house, "acme")
    mine = house.good("mail", "list", "--operator", "acme", "--user", "irina", "--json").rows
    assert house.good("mail", "list", "--user", "acme/irina", "--json").rows == mine
    assert "personal" in {row["subject"] for row in mine}
    (personal,) = [row["id"] for row in mine if row["subject"] == "personal"]
    unseen = house.run("mail", "show", personal, "--operator", "acme")
    assert unseen.code == 1
    assert "--user" in unseen.err
    assert "--user" not in house.run("mail", "show", personal, "--operator", "globetrot").err
    assert house.run("mail", "raw", personal, "--operator", "globetrot").code == 1
    assert house.run("mail", "list", "--operator", "acme", "--user", "boris").code == 1
    everything = house.good("mail", "list", "--all-operators", "--json").rows
    assert len(everything) == 7
    ids = [row["id"] for row in everything]
    assert ids == sorted(ids, reverse=True), "newest first, whoever's it is"


def test_paging_through_all_operators_splits_no_mail_and_loses_none(house: House) -> None:
    house.good("import", "main")
    everything = [(row["id"], row["operator"]) for row in house.good("mail", "list", "--all-operators", "--json").rows]
    assert len(everything) == 6
    paged: list[tuple[int, str]] = []
    before: list[object] = []
    while page := house.good("mail", "list", "--all-operators", "--limit", 3, *before, "--json").rows:
        paged += [(row["id"], row["operator"]) for row in page]
        before = ["--before", paged[-1][0]]
        assert len(page) <= 4
    assert paged == everything
