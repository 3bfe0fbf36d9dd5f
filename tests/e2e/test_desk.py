"""What people do at the desk, by the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.house import House

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot

FIRST = (
    b"Message-ID: <1@example.com>\r\nDate: Mon, 05 Jan 2026 10:00:00 +0100\r\nFrom: =?utf-8?q?Anna_M=C3=BCller?= <anna@example.com>\r\n"
    b"To: reservations@example.com, Desk <desk@example.com>\r\nSubject: Re: 756 and 324\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGr\xc3\xbc\xc3\x9fe \x1b[31mred\r\n'
    b'--b\r\nContent-Type: application/pdf; name="../../etc/passwd"\r\nContent-Disposition: attachment; filename="../../etc/passwd"\r\n'
    b"Content-Transfer-Encoding: base64\r\n\r\nSGVsbG8=\r\n--b--\r\n"
)
SECOND = b"Message-ID: <2@example.com>\r\nDate: Tue, 06 Jan 2026 10:00:00 +0100\r\nFrom: otto@example.com\r\nSubject: hello\r\n\r\nhi\r\n"


@pytest.fixture
def house(tmp_path: Path, dovecot: Dovecot) -> House:
    house = House(tmp_path)
    user = f"desk-{tmp_path.name}"
    dovecot.user(user, "pass")
    dovecot.deliver(user, [FIRST, SECOND])
    house.operator(
        "acme",
        persons="id,name,email,temporary\nP1,Anna,anna@example.com,no\n",
        customers="id,name,main_contact\nC1,Nord GmbH,P1\nC2,Süd AG,\n",
        reservations="id,code,title\nR1,B-756,Rome\nR2,B-324,Oslo\nR3,O-DB1-324,Bergen\n",
        products="id,code,title\nX1,TOUR-1,Fjords\n",
    )
    house.account("main", "imap", dovecot.ports["imap"], user)
    house.good("import", "main")
    return house


def row(house: House, mail_id: int) -> dict[str, Any]:
    (found,) = [one for one in house.good("mail", "list", "--json").rows if one["id"] == mail_id]
    return found


def test_list_line_is_as_the_design_gives_it(house: House) -> None:
    (first,) = house.good("mail", "list", "--json", "--linked").rows
    assert list(first) == [
        "id", "operator", "account", "folder", "key", "message_id", "from", "from_name", "to", "subject", "sent_at", "received_at", "size",
        "direction", "unread", "attachments", "links", "rivals", "errors", "queue",
    ]  # fmt: skip
    assert first["message_id"] == "<1@example.com>"
    assert first["from"] == "anna@example.com"
    assert first["to"] == ["reservations@example.com", "desk@example.com"]
    assert first["sent_at"] == "2026-01-05T09:00:00Z"
    assert first["received_at"].endswith("Z")
    assert first["size"] == len(FIRST)
    assert (first["direction"], first["unread"], first["errors"], first["queue"]) == ("in", True, [], None)
    assert {(link["kind"], link["id"], link["by"]) for link in first["links"]} == {
        ("person", "P1", "contacts"),
        ("customer", "C1", "contacts"),
        ("reservation", "R1", "reservations"),
    }
    assert {rival["id"] for rival in first["rivals"]} == {"R2", "R3"}
    (attachment,) = first["attachments"]
    assert attachment["size"] == 5
    assert "/" not in attachment["name"]


def test_filters(house: House) -> None:
    def subjects(*flags: str) -> set[str]:
        return {one["subject"] for one in house.good("mail", "list", "--json", *flags).rows}

    assert subjects("--unlinked") == {"hello"}
    assert subjects("--kind", "reservation") == {"Re: 756 and 324"}
    assert subjects("--kind", "reservation", "--record", "R2") == set()
    assert subjects("--text", "OTTO") == {"hello"}
    assert subjects("--text", "100%_") == set()
    nobody = house.run("mail", "list", "--account", "none")
    assert nobody.code == 1
    assert "Accounts are: main." in nobody.err
    assert len(subjects("--limit", "1")) == 1
    assert house.run("mail", "list", "--record", "R1").code == 2


def test_show_raw_and_attachment(house: House, tmp_path: Path) -> None:
    first = house.good("mail", "list", "--json", "--linked").rows[0]["id"]
    shown = house.good("mail", "show", first).out
    assert "Anna Müller <anna@example.com>" in shown
    assert "Grüße" in shown
    assert "\x1b" not in shown, "mail never steers the terminal"
    assert "B-756" in shown
    house.good("mail", "raw", first, "-o", tmp_path / "raw.eml")
    assert (tmp_path / "raw.eml").read_bytes() == FIRST
    house.good("mail", "attachment", first, 1, "-o", tmp_path / "a.pdf")
    assert (tmp_path / "a.pdf").read_bytes() == b"Hello"
    assert house.run("mail", "raw", first, "-o", tmp_path / "raw.eml").code == 1, "no file is overwritten"
    assert house.run("mail", "attachment", first, 2).code == 1
    short = house.run("mail", "raw", 4711, "-o", tmp_path / "none.eml")
    assert (short.code, (tmp_path / "none.eml").exists()) == (1, False)
    assert json.loads(house.good("mail", "show", first, "--json").out)["text"].startswith("Grüße")


def test_link_by_hand_settles_rivals_and_survives_a_retry(house: House) -> None:
    first = house.good("mail", "list", "--json", "--linked").rows[0]["id"]
    house.good("mail", "link", first, "reservation", "R2", "R3")
    house.good("mail", "link", first, "product", "X1")
    after = row(house, first)
    assert after["rivals"] == []
    assert {(link["kind"], link["id"]) for link in after["links"]} >= {
        ("reservation", "R2"),
        ("reservation", "R3"),
        ("product", "X1"),
    }
    assert any(str(link["by"]).startswith("person:") for link in after["links"])
    missing = house.run("mail", "link", first, "customer", "C9")
    assert missing.code == 1
    assert "directory find" in missing.err


def test_unlink_holds_against_matchers(house: House) -> None:
    first = house.good("mail", "list", "--json", "--linked").rows[0]["id"]
    house.good("mail", "unlink", first, "customer", "C1")
    assert house.run("mail", "unlink", first, "customer", "C1").code == 1
    assert ("customer", "C1") not in {(link["kind"], link["id"]) for link in row(house, first)["links"]}


def test_read_and_unread(house: House) -> None:
    first = house.good("mail", "list", "--json", "--linked").rows[0]["id"]
    house.good("mail", "read", first)
    assert row(house, first)["unread"] is False
    assert len(house.good("mail", "list", "--unread", "--json").rows) == 1
    house.good("mail", "read", "--unread", first)
    assert row(house, first)["unread"] is True


def test_explain_a_stored_mail_and_a_file(house: House, tmp_path: Path) -> None:
    first = house.good("mail", "list", "--json", "--linked").rows[0]["id"]
    said = house.good("explain", first, "--json").rows
    assert {(one["by"], one["said"]) for one in said} >= {
        ("contacts", "link"),
        ("reservations", "link"),
        ("reservations", "rivals"),
    }
    assert all(one["because"] for one in said)
    (tmp_path / "x.eml").write_bytes(SECOND)
    said = house.good("explain", tmp_path / "x.eml", "--json").rows
    assert {(one["by"], one["said"]) for one in said} == {("contacts", "miss"), ("reservations", "miss")}
    assert "otto@example.com" in next(one["because"] for one in said if one["by"] == "contacts")


def test_directory_find_and_load(house: House) -> None:
    (found,) = house.good("directory", "find", "customer", "süd", "--json").rows
    assert (found["kind"], found["id"]) == ("customer", "C2")
    assert house.run("directory", "find", "customer", "nothing-like-it").code == 1
    house.write("acme/customers.csv", "id,name,main_contact\nC3,West KG,\n,nameless,\n")
    loaded = house.run("directory", "load")
    assert loaded.code == 1
    assert "customers.csv:3" in loaded.out
    assert house.good("directory", "find", "customer", "west", "--json").rows[0]["id"] == "C3"


def test_plugins_list_shows_what_is_out_of_use(house: House) -> None:
    house.write("plugins/bad.py", "1/0\n")
    done = house.run("plugins", "list", "--json")
    assert done.code == 1
    states = {one["name"]: one["error"] for one in done.rows}
    assert "ZeroDivisionError" in states["bad"]
    assert states["imap"] is None


def test_schema_writes_files_for_editors(house: House, tmp_path: Path) -> None:
    house.good("schema", tmp_path)
    assert {path.name for path in tmp_path.glob("*.schema.json")} == {
        "gatewayd.schema.json",
        "operator.schema.json",
        "account.schema.json",
    }


@pytest.mark.parametrize("command", [[], ["mail"], ["import"], ["queue", "list"], ["demo"]])
def test_help_of_every_word(house: House, command: list[str]) -> None:
    assert "Usage: gatewayd" in house.good(*command, "--help").out


def test_nothing_to_list_is_said_beside_the_output(house: House) -> None:
    done = house.good("mail", "list", "--text", "nothing like it")
    assert (done.out, done.err) == ("", "No mail.\n")
    done = house.good("queue", "list")
    assert (done.out, done.err) == ("", "No mail is in an error queue.\n")
    assert house.good("queue", "list", "--json").err == house.good("mail", "list", "--json", "--text", "nothing like it").err == ""


def test_retry_of_what_stands_in_no_queue_says_so(house: House) -> None:
    first = house.good("mail", "list", "--json").rows[0]["id"]
    done = house.run("queue", "retry", first)
    assert done.code == 1
    assert f"mail {first} does not stand in an error queue" in done.err


def test_tables_keep_their_columns_at_80(house: House) -> None:
    narrow = {"COLUMNS": "80"}
    listed = house.run("mail", "list", environment=narrow).out.splitlines()
    assert all(len(line) <= 80 for line in listed)
    assert listed[0].split()[:3] == ["id", "operator", "account"]
    assert "queue" in listed[0]
    assert any(line.split()[:4] == ["1", "*", "acme", "main"] for line in listed)
    explained = house.run("explain", 1, environment=narrow).out
    assert "reservations rivals" in " ".join(explained.split())
    shown = house.run("plugins", "list", environment=narrow).out.splitlines()
    assert shown[0].split() == ["plugin", "source", "offers", "state"]
    assert any(line.split()[0] == "reservations" and line.split()[-1] == "ok" for line in shown)
