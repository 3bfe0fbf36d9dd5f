"""Mail of operators and users that are no longer in the config is seen by the administrator, and told; the rest goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.messages import booking_messages
from tests.e2e.house import House, until

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot

IRINA = "users:\n  irina: {name: Irina, email: irina@example.com}\n"


@pytest.fixture
def house(tmp_path: Path, dovecot: Dovecot) -> House:
    made = House(tmp_path)
    for name in ("acme", "nord"):
        made.operator(name, persons="id,name,email\n", more=IRINA)
    for name, owner in (("shared", "operators: [acme, nord]"), ("irina", "user: acme/irina")):
        user = f"{tmp_path.name.lower()}-{name}@example.com"
        dovecot.user(user, "pass")
        dovecot.deliver(user, booking_messages(2))
        made.account(name, "imap", dovecot.ports["imap"], user, more=f"{owner}\n", imports="  every: 1s\n")
    return made


def ids(house: House, *more: str) -> set[tuple[str, int]]:
    return {(row["operator"], row["id"]) for row in house.good("mail", "list", "--json", *more).rows}


def test_P10_an_account_whose_file_is_gone_is_told(house: House) -> None:
    house.good("import")
    (house.folder / "accounts/shared.yaml").unlink()
    status = house.run("status")
    assert "Account shared was imported here, and has no file any more: nothing is imported for it." in status.out
    assert {"type": "forgotten", "account": "shared"} in house.run("status", "--json").rows
    assert "Account irina" not in status.out


def test_P4_P6_mail_of_an_operator_that_is_gone_is_the_administrator_s(house: House, dovecot: Dovecot) -> None:
    house.good("import")
    everything = ids(house, "--all-operators")
    assert len(everything) == 6
    (house.folder / "operators/nord.yaml").rename(house.folder / "operators/north.yaml")
    user = f"{house.state.parent.name.lower()}-shared@example.com"
    dovecot.deliver(user, booking_messages(1, seed=5))
    # The others go on.
    assert house.run("import", "shared").code == 0
    (new,) = {mail_id for _, mail_id in ids(house, "--operator", "acme")} - {mail_id for _, mail_id in everything}
    checked = house.run("check")
    assert checked.code == 78
    assert "there is no operators/nord.yaml, and the account goes on for 'acme' alone" in checked.out
    assert "There are 2 filings of operator nord, which is no longer in the config" in checked.err
    status = house.run("status")
    assert "There are 2 filings of operator nord, which is no longer in the config" in status.out
    assert {"type": "former", "operator": "nord", "user": None, "filings": 2} in house.run("status", "--json").rows
    # The administrator sees all of it, and nobody else any.
    assert ids(house, "--all-operators") == everything | {("acme", new)}
    (one, _) = (mail_id for operator, mail_id in everything if operator == "nord")
    assert house.good("mail", "show", one, "--all-operators", "--json").rows[0]["id"] == one
    assert house.good("mail", "raw", one, "--all-operators").out
    for operator in ("nord", "north"):
        assert house.run("mail", "show", one, "--operator", operator).code == 1
    assert ids(house, "--operator", "north") == set()
    # Nothing is lost once the file is back.
    (house.folder / "operators/north.yaml").rename(house.folder / "operators/nord.yaml")
    house.good("check")
    assert ids(house, "--operator", "nord") == {one for one in everything if one[0] == "nord"}


def test_P6_mail_of_a_user_that_is_gone_is_the_administrator_s(house: House) -> None:
    house.good("import")
    personal = ids(house, "--operator", "acme", "--user", "irina") - ids(house, "--operator", "acme")
    assert len(personal) == 2
    house.write("operators/acme.yaml", (house.folder / "operators/acme.yaml").read_text().replace(IRINA, ""))
    (house.folder / "accounts/irina.yaml").unlink()
    checked = house.good("check")
    assert "There are 2 filings of user irina of operator acme, who is no longer in the config" in checked.err
    assert "2 filings of user irina" in house.run("status").out
    assert ids(house, "--all-operators") >= personal
    assert not ids(house, "--operator", "acme") & personal
    ((_, one), _) = personal
    assert house.run("mail", "show", one, "--operator", "acme").code == 1
    assert house.good("mail", "show", one, "--all-operators")


def test_what_stands_in_a_former_operator_s_queue_can_be_taken_out(house: House) -> None:
    house.write("operators/nord.yaml", "directory: {kind: csv, folder: nord}\nmatchers: [nothing]\n")
    assert house.run("import", "shared").code == 0
    (house.folder / "operators/nord.yaml").unlink()
    rows = house.good("queue", "list", "--all-operators", "--json").rows
    assert {row["operator"] for row in rows} == {"nord"}
    ids_ = [row["id"] for row in rows]
    wrong = house.run("queue", "discard", *ids_, "--operator", "acme")
    assert (wrong.code, "in no error queue of operator acme" in wrong.err) == (1, True)
    house.good("queue", "discard", *ids_, "--all-operators")
    assert house.good("queue", "list", "--all-operators", "--json").rows == []


def test_P4_a_daemon_goes_on_for_the_operators_that_are_there(house: House, dovecot: Dovecot) -> None:
    with house.daemon() as daemon:
        until("all is filed", 20, lambda: house.filed("shared").total() == 4)
        (house.folder / "operators/nord.yaml").unlink()
        until("it is told", 20, lambda: "there is no operators/nord.yaml" in daemon.log)
        dovecot.deliver(f"{house.state.parent.name.lower()}-shared@example.com", booking_messages(1, seed=6))
        until("the others go on", 20, lambda: house.filed("shared").total() == 5)
        # It is `new` once more until the visit that filed it has ended.
        until("it is looked after", 20, lambda: house.status()["shared"]["condition"] in {"watching", "working"})
        assert "there is no operators/nord.yaml" in house.status()["shared"]["error"]
