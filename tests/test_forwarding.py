"""docs/forwarding.md, done by the book: its files are a config that runs, and its commands are run in their order."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, get_args

import pytest

from gatewayd.api.delivery import DeliveryState
from gatewayd.testing.servers.smtp import SmtpServer
from tests.e2e.house import ROOT, Done, House
from tests.plugins.webhook_site import SECRET, Receiver, receiver
from tests.world import blocks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot

PAGE = ROOT / "docs" / "forwarding.md"
BLOCKS = blocks(PAGE)
USER, PASSWORD = "forwarding@example.com", "a secret"
#: What the page's commands are given, with what it says.
FILES = {"answer.txt": "Gladly.\n", "letter.txt": "Dear Anna,\n", "voucher.pdf": "%PDF-1.4\n"}
BASE = {
    "operators/acme.yaml": "directory: {kind: csv, folder: acme}\nmatchers: [contacts, reservations, threads]\nbrands: []\n",
    "accounts/reservations.yaml": "kind: imap\noperators: [acme]\nhost: localhost\nsecurity: none\ninsecure: true\n"
    f"username: {USER}\npassword: !credential acme-out\nimport: {{folders: [INBOX]}}\n",
}


def mail(number: int, subject: str) -> bytes:
    head = f"From: Anna <anna@nord.example>\r\nTo: {USER}, sales@nord.example\r\nMessage-ID: <{number}@nord.example>\r\n"
    return f"{head}Subject: {subject}\r\nDate: Mon, 5 Jan 2026 12:00:00 +0000\r\n\r\nHello\r\n".encode()


LINKED, URGENT, UNLINKED = mail(1, "Booking 756"), mail(2, "URGENT: booking 756"), mail(3, "Hello")


class Reader:
    """Who follows the page from top to bottom."""

    def __init__(self, folder: Path, dovecot: Dovecot, smtp: SmtpServer, crm: Receiver) -> None:
        self.house = House(folder)
        self.smtp = smtp
        self.crm = crm
        self.said: dict[str, Done] = {}
        self._folder = folder
        self._dovecot = dovecot
        self._write()

    def _write(self) -> None:
        local = {
            r"host: smtp\.example\.com": f"host: {self.smtp.host}\nport: {self.smtp.port}\nca_file: {self.smtp.ca_file}",
            r"username: reservations@example\.com": f"username: {USER}",
            r'"https://crm\.example\.com/mail"': f'"{self.crm.url("/mail")}", ca_file: {self.crm.ca_file}, allow_private: [localhost]',
        }
        texts = BASE | {"accounts/reservations.yaml": f"{BASE['accounts/reservations.yaml']}port: {self._dovecot.ports['imap']}\n"}
        for block in BLOCKS:
            if block.name:
                name, text = block.name.removeprefix("/etc/gatewayd/"), block.text
                for old, new in local.items():
                    text = re.sub(old, new, text)
                texts[name] = texts.get(name, "") + text
        for name, text in texts.items():
            self.house.write(name, text)
        self.house.write("credentials/acme-out", f"{PASSWORD}\n")
        self.house.write("credentials/crm-webhook", f"{SECRET}\n")
        self.house.write("acme/reservations.csv", "id,code,title\nR1,B-756,Rome\n")
        for name, text in FILES.items():
            (self._folder / name).write_text(text)

    def follow(self) -> None:
        """Do all of it, with mail that comes before, so that rules send it on."""
        self.said["check"] = self.house.good("check", "--online")
        self.house.good("import")
        self._dovecot.deliver(USER, [LINKED, URGENT, UNLINKED])
        self.house.good("import")
        ids = {row["subject"]: row["id"] for row in self.house.good("mail", "list", "--json").rows}
        # Whatever is for the archive is refused for good.
        self.smtp.answer = lambda step, said: "550 no such archive" if (step, "archive" in said) == ("RCPT", True) else None
        self.house.good("mail", "forward", ids["Hello"], "archive")
        self.said["before"] = self.house.run("outbox", "deliver")
        (parked,) = self.house.good("outbox", "list", "--state", "parked", "--json").rows
        numbers = {"17": str(ids["Booking 756"]), "12": str(parked["id"])}
        for line in [line for block in BLOCKS if block.language == "sh" for line in block.text.splitlines()]:
            self.said[line] = self.house.good(*(self._argument(word, numbers) for word in shlex.split(line)[1:]))
        self.said["after"] = self.house.good("outbox", "list", "--json")

    def _argument(self, word: str, numbers: dict[str, str]) -> str:
        return str(self._folder / word) if word in FILES else numbers.get(word, word)

    def sent_to(self, address: str) -> list[bytes]:
        """The mails that went to an address, and maybe to others."""
        return [one.data for one in self.smtp.messages if address in one.recipients]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory, dovecot: Dovecot) -> Iterator[Reader]:
    dovecot.user(USER, PASSWORD)
    site = tmp_path_factory.mktemp("crm")
    with SmtpServer("starttls", users={USER: PASSWORD}) as smtp, receiver(site) as crm:
        reader = Reader(tmp_path_factory.mktemp("house"), dovecot, smtp, crm)
        reader.follow()
        yield reader


def test_every_block_is_a_file_or_commands() -> None:
    assert {block.language for block in BLOCKS if not block.name} == {"sh"}
    assert {block.name.removeprefix("/etc/gatewayd/") for block in BLOCKS if block.name} == {*BASE, "accounts/acme-out.yaml"}


def test_the_files_make_a_sound_config_and_both_servers_take_the_log_in(reader: Reader) -> None:
    assert "2 accounts, 1 operator, 0 faults. Nothing failed online." in reader.said["check"].err


def test_the_rules_fire_as_they_say_and_explain_says_so(reader: Reader) -> None:
    by_rule = {(row["subject"], row["target"]) for row in reader.said["after"].rows if row["cause"].startswith("rule")}
    assert by_rule == {
        ("URGENT: booking 756", "duty"),
        ("Hello", "duty"),
        *((subject, "crm") for subject in ("Booking 756", "URGENT: booking 756", "Hello")),
    }
    assert len(reader.crm.requests) == 3
    explained = reader.said["gatewayd explain 17"].out
    assert "subject does not match" in explained
    assert "linked to reservation, expected to be linked to nothing" in explained


def test_what_refused_says_so_and_is_cancelled_and_all_else_is_delivered(reader: Reader) -> None:
    assert reader.said["before"].code == 1
    assert "no such archive" in reader.said["gatewayd outbox list --state parked"].out
    assert {row["state"] for row in reader.said["after"].rows if row["target"] == "archive"} == {"cancelled"}
    assert {row["state"] for row in reader.said["after"].rows if row["target"] != "archive"} == {"delivered"}


def test_answers_and_letters_go_out_as_they_say(reader: Reader) -> None:
    replies = [data for data in reader.sent_to("anna@nord.example") if b"\r\nSubject: Re: Booking 756\r\n" in data]
    assert len(replies) == 2
    assert all(b"\r\nIn-Reply-To: <1@nord.example>\r\n" in data for data in replies)
    (to_all,) = reader.sent_to("sales@nord.example")
    assert b'filename="voucher.pdf"' in to_all
    assert [b"Subject: Your booking B-4711\r\n" in data for data in reader.sent_to("anna@example.com")] == [True]
    explained = reader.said["gatewayd mail send --to anna@example.com --subject Hello --text letter.txt --explain"].out
    assert "Nothing was sent." in explained
    for rule in ("match", "cc", "bcc", "docx", "max_bytes"):
        assert re.search(rf"Rule: +{rule} \(accounts/acme-out\.yaml:\d+\): allowed", explained)


def test_forwards_by_hand_and_by_rules_carry_the_original(reader: Reader) -> None:
    forwards = reader.sent_to("duty@example.com")
    assert [sum(original in data for data in forwards) for original in (LINKED, URGENT, UNLINKED)] == [2, 1, 1]


def test_what_is_refused_says_so(reader: Reader) -> None:
    run = reader.house.run
    ids = {row["subject"]: row["id"] for row in reader.house.good("mail", "list", "--json").rows}
    again = run("mail", "forward", ids["Hello"], "duty", "--explain")
    assert (again.code, "goes to duty already" in again.err) == (1, True)
    assert "is not approved" in run("mail", "forward", ids["Hello"], "stranger@example.com").err
    letter = reader.house.write("letter", "Hello\n")
    bcc = run("mail", "send", "--to", "a@example.com", "--bcc", "b@example.com", "--subject", "s", "--text", letter)
    assert re.search(r"sends no Bcc.*`bcc`, in accounts/acme-out\.yaml:\d+", bcc.err, re.DOTALL)


def test_the_page_explains_each_state_of_a_delivery() -> None:
    table = PAGE.read_text().partition("| state | means |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == list(get_args(DeliveryState))
