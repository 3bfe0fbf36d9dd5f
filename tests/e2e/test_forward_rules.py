"""Forward rules by the command line: for new mail, for old mail only if a person says so; and explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd.config.signing_key import load_signer
from gatewayd.message.message_ids import Signer
from gatewayd.testing.servers.smtp import SmtpServer
from tests.e2e.house import House, until
from tests.e2e.sending import Sending

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot

FORWARD = """
targets:
  crm: {kind: webhook, url: "https://crm.example.com/mail", secret: !file secret}
forward:
  - {when: {subject: "(?i)urgent"}, to: crm}
  - {when: {account: main, unlinked: true}, to: crm}
"""
BROKEN = """
from gatewayd import Matcher, hookimpl


class Cross(Matcher):
    kind = "cross"

    def match(self, mails, directory):
        raise ValueError("too cross to match")


@hookimpl
def gatewayd_matchers():
    return [Cross]
"""


def raw(number: int, subject: str, *lines: str) -> bytes:
    head = "\r\n".join((f"Message-ID: <{number}@example.com>", "From: otto@example.com", f"Subject: {subject}", *lines))
    return f"{head}\r\n\r\nhi\r\n".encode()


@pytest.fixture
def user(tmp_path: Path, dovecot: Dovecot) -> str:
    name = f"rules-{tmp_path.name}"
    dovecot.user(name, "pass")
    dovecot.deliver(name, [raw(1, "Old and urgent")])
    return name


@pytest.fixture
def house(tmp_path: Path, dovecot: Dovecot, user: str) -> House:
    house = House(tmp_path)
    house.write("secret", "whsec_" + "c2VjcmV0" * 4 + "\n")
    house.write("password", "pass\n")
    house.operator("acme", matchers="[threads]", more=FORWARD)
    house.account("main", "imap", dovecot.ports["imap"], user)
    path = house.folder / "accounts" / "main.yaml"
    path.write_text(path.read_text().replace("!file secret", "!file password"))
    house.good("import", "main")
    return house


def deliveries(house: House) -> list[tuple[int, str]]:
    """The outbox: mail and cause of each delivery."""
    return sorted(house.read("SELECT mail_id, cause FROM delivery"))


def ids(house: House) -> dict[str, int]:
    return {one["message_id"]: one["id"] for one in house.good("mail", "list", "--json").rows}


def test_P7_old_mail_is_sent_on_only_where_a_person_asks_for_it(house: House, dovecot: Dovecot, user: str) -> None:
    assert deliveries(house) == [], "it was there before"
    dovecot.deliver(user, [raw(2, "urgent")])
    house.good("import", "main")
    new = ids(house)["<2@example.com>"]
    assert deliveries(house) == [(new, "rule 1")]
    house.good("import", "main", "--from-beginning", "--forward")
    assert deliveries(house) == [(new, "rule 1")], "nothing is filed twice"
    assert house.run("import", "main", "--forward").code == 2


def test_P6_old_mail_that_is_chosen_is_sent_on_by_the_choosers_rules_alone(house: House, dovecot: Dovecot, user: str) -> None:
    dovecot.deliver(user, [raw(number, f"urgent {number}") for number in (2, 3)])
    house.operator("globetrot", matchers="[threads]", more=FORWARD)
    more = "operators: [acme, globetrot]\nsecond: true\n"
    house.account("shared", "imap", dovecot.ports["imap"], user, more=more, imports="  take: chosen\n")
    path = house.folder / "accounts" / "shared.yaml"
    path.write_text(path.read_text().replace("!file secret", "!file password"))
    keys = {row["subject"]: row["key"] for row in house.good("remote", "shared", "--operator", "acme", "--json").rows}
    wanted = ("--key", keys["urgent 2"], "--key", keys["urgent 3"])
    house.good("import", "shared", "--operator", "globetrot", *wanted[:2])
    assert deliveries(house) == [], "it was there before"
    house.good("import", "shared", "--operator", "acme", "--forward", *wanted)
    assert [operator for (operator,) in house.read("SELECT operator FROM delivery")] == ["acme", "acme"]
    house.good("import", "shared", "--operator", "globetrot", *wanted)
    assert len(house.read("SELECT operator FROM delivery")) == 2


def test_P7_what_is_retried_is_sent_on_only_where_a_person_asks_for_it(house: House) -> None:
    plugin = house.write("plugins/cross.py", BROKEN)
    house.operator("acme", matchers="[threads]", more=FORWARD)
    yaml = house.folder / "operators" / "acme.yaml"
    yaml.write_text(yaml.read_text().replace("[threads]", "[cross, threads]"))
    later = yaml.read_text()
    house.write("operators/later.yaml", later.replace("title: Acme", "title: Later"))
    (house.folder / "later").mkdir()
    main = house.folder / "accounts" / "main.yaml"
    main.write_text(main.read_text().replace("operators: [acme]", "operators: [acme, later]"))
    house.run("import", "main", "--from-beginning", "--operator", "later")
    assert deliveries(house) == []
    queued = house.good("queue", "list", "--operator", "later", "--json").rows
    assert len(queued) == 1
    plugin.write_text(BROKEN.replace('raise ValueError("too cross to match")', "return []"))
    house.good("queue", "retry", "--operator", "later", "--forward")
    assert [cause for _, cause in deliveries(house)] == ["rule 1"]


def test_the_daemon_takes_a_changed_rule_over_and_shows_a_target_that_gets_too_much(tmp_path: Path, dovecot: Dovecot) -> None:
    with SmtpServer() as server:
        own = Sending(tmp_path / "own", dovecot, server.port, rules="", limits="limits: {forwards_per_hour: 1}\n")
        own.begin()
        yaml = own.house.folder / "operators" / "acme.yaml"
        with own.house.daemon() as daemon:
            own.come(raw(1, "urgent"))
            until("the first is filed", 20, lambda: own.house.filed().total() == 1)
            yaml.write_text(yaml.read_text() + "forward: [{when: {subject: urgent}, to: duty}]\n")
            until("the rule is taken over", 20, lambda: daemon.log.count("config loaded") > 1)
            own.come(raw(2, "urgent"))
            until("the second is delivered", 20, lambda: own.states()["delivered"])
            own.come(raw(3, "urgent"))
            until("the third is withheld", 20, lambda: own.states()["withheld"])
            # The daemon says how it is each ten seconds.
            until("the daemon has said so", 20, lambda: "duty" in str(own.house.read("SELECT open_targets FROM daemon")))
            (row,) = [row for row in own.house.run("status", "--json").rows if row["type"] == "daemon"]
            assert row["open_targets"] == ["acme/duty"]
            said = own.house.run("status").out
            assert "more to acme/duty than limits.forwards_per_hour" in said
            assert "need a person" not in said
    assert own.states() == {"delivered": 1, "withheld": 1}, "what was filed before the rule stays"
    assert len(server.messages) == 1
    (row,) = own.house.good("outbox", "list", "--state", "withheld", "--json").rows
    assert "forwards_per_hour" in row["words"]


def test_explain_shows_why_rules_fire_or_not_and_whom_a_mail_answers(house: House, tmp_path: Path) -> None:
    signer = load_signer(None, house.state)
    ours, forged = signer.message_id("mail", "example.com"), Signer(b"x" * 32).message_id("mail", "example.com")
    (tmp_path / "x.eml").write_bytes(raw(9, "URGENT", f"References: {ours} {forged}", "Auto-Submitted: auto-generated"))
    rows = house.good("explain", tmp_path / "x.eml", "--json").rows
    follows = {one["record"]: one["because"] for one in rows if one.get("said") == "follows"}
    assert follows[ours].endswith("(proven to be ours)")
    assert follows[forged].endswith("(not ours: it links nothing)")
    rules = [one for one in rows if "rule" in one]
    assert [(one["rule"], one["targets"], one["fires"]) for one in rules] == [(1, ["crm"], True), (2, ["crm"], False)]
    assert rules[0]["where"].startswith("operators/acme.yaml:")
    assert "no account" in rules[1]["because"]
    rows = house.good("explain", tmp_path / "x.eml", "--account", "main", "--json").rows
    assert [one["fires"] for one in rows if "rule" in one] == [True, True]
    stored = house.good("explain", ids(house)["<1@example.com>"])
    assert "operators/acme.yaml:" in stored.out
    assert house.run("explain", tmp_path / "x.eml", "--account", "nobody").code == 1
