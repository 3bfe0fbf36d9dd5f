"""``mail send``, ``reply`` and ``forward``: what they read, what they show, and what stands in the store behind them."""

from __future__ import annotations

import io
import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from gatewayd import DeliveryQuery, DeliveryView, Folders, Viewer, cli
from gatewayd.message.mail import BytesSource, parse
from gatewayd.testing import make_record
from gatewayd.testing.contracts.custodian import Custodian, make_filing, make_raw
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql
from tests.e2e.house import House

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OUT = """\
kind: smtp
operators: [acme]
host: localhost
port: 1
security: none
insecure: true
send:
  system: true
  from: {name: Acme Tours, address: desk@acme.example}
  bcc: false
"""
OPERATOR = """\
targets:
  night: {kind: smtp, account: acme-out, to: [night@acme.example]}
  hook: {kind: webhook, url: "https://hook.example/in", secret: !file secret}
users:
  irina: {name: Irina Mari, email: irina@acme.example}
"""
APPROVED = "forward:\n  approved: [{name: Duty manager, address: duty@acme.example}]\n"
ACME = Viewer(operator="acme", users=("irina",))
LETTER = ("--to", "Anna <anna@nord.example>", "--subject", "Rome")


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def row(self) -> dict[str, Any]:
        (line,) = self.out.splitlines()
        found: dict[str, Any] = json.loads(line)
        return found


class Shell:
    """A config folder with an account that imports and one that sends, its store, and the command line."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.house = House(folder)
        self.house.operator("acme", matchers="[contacts]", more=OPERATOR)
        self.house.account("main", "imap", 1, "reservations@acme.example", more=APPROVED)
        self.house.write("accounts/acme-out.yaml", OUT)
        self.store = Sql(SqlOptions(url=None), place=Folders(config=self.house.folder, state=self.house.state))
        self.house.state.mkdir()
        self.store.open()
        self.main = Custodian.of(self.store, "main")
        self._capfd = capfd

    def file(self, raw: bytes, key: str = "1", owner: str | None = None) -> int:
        return self.main.file(key, raw, make_filing("acme", user=owner, links=[make_record("customer", "C1", "Nord")]))

    def path(self, name: str, data: bytes) -> str:
        (self.folder / name).write_bytes(data)
        return str(self.folder / name)

    def run(self, *words: str) -> Done:
        self._capfd.readouterr()
        code = cli.run(["--config", str(self.house.folder), *words])
        return Done(code, *self._capfd.readouterr())

    def good(self, *words: str) -> Done:
        done = self.run(*words)
        assert done.code == 0, done
        return done

    def deliveries(self) -> list[DeliveryView]:
        """Newest first."""
        return list(self.store.deliveries(ACME, DeliveryQuery()))

    def raw(self, mail_id: int) -> bytes:
        source = self.store.source(ACME, mail_id)
        assert source
        return source.read(0, source.size)


@pytest.fixture
def shell(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.setenv("COLUMNS", "250")
    made = Shell(tmp_path, capfd)
    yield made
    made.store.close()


@pytest.fixture
def text(shell: Shell) -> str:
    return shell.path("letter.txt", "\ufeffGr\u00fc\u00dfe\n".encode())


# --- send -------------------------------------------------------------------------------------------------------------


def test_send_commits_and_says_how_to_follow_it(shell: Shell, text: str) -> None:
    done = shell.good("mail", "send", *LETTER, "--text", text)
    (view,) = shell.deliveries()
    assert done.out == f"Mail {view.mail_id}: delivery {view.id}.\n"
    assert "`gatewayd outbox deliver`" in done.err
    assert f"gatewayd outbox list --mail {view.mail_id} --operator acme\n" in done.err
    assert view.delivery.to == ("anna@nord.example",)
    assert parse(BytesSource(shell.raw(view.mail_id))).text == "Gr\u00fc\u00dfe\n"
    listed = shell.good("outbox", "list", "--mail", str(view.mail_id), "--json").row
    assert (listed["id"], listed["state"]) == (view.id, "waiting")


def test_what_was_sent_is_listed_as_going_out(shell: Shell, text: str) -> None:
    row = shell.good("mail", "send", *LETTER, "--text", text, "--json").row
    assert row == {"mail": row["mail"], "deliveries": [shell.deliveries()[0].id], "notes": []}
    listed = shell.good("mail", "list", "--json").row
    assert (listed["id"], listed["direction"], listed["from"], listed["to"]) == (
        row["mail"], "out", "desk@acme.example", ["anna@nord.example"],
    )  # fmt: skip
    _, line = shell.good("mail", "list").out.splitlines()
    assert line.split()[:4] == [str(row["mail"]), "out", "acme", "acme-out"]
    assert "to anna@nord.example" in line


def test_everything_that_can_be_given(shell: Shell, text: str) -> None:
    files = [shell.path("offer.pdf", b"%PDF"), shell.path("page.tar.gz", b"\x1f\x8b"), shell.path("strange", b"?")]
    html = shell.path("letter.html", b"<p>Hello</p>")
    attach = [word for one in files for word in ("--attach", one)]
    also = ("--to", "b@x.de", "--cc", "c@x.de", "--html", html, "--from", "Irina <irina@acme.example>", *attach)
    mail_id = shell.good("mail", "send", *LETTER, *also, "--text", text, "--json").row["mail"]
    shown = shell.good("mail", "show", str(mail_id), "--json").row
    assert (shown["from"], shown["to"], shown["text"]) == (
        "irina@acme.example",
        ["anna@nord.example", "b@x.de"],
        "Gr\u00fc\u00dfe\n",
    )
    assert [(one["name"], one["type"], one["size"]) for one in shown["attachments"]] == [
        ("offer.pdf", "application/pdf", 4),
        ("page.tar.gz", "application/octet-stream", 2),
        ("strange", "application/octet-stream", 1),
    ]
    assert b"text/html" in shell.raw(mail_id)
    assert shell.deliveries()[0].delivery.to == ("anna@nord.example", "b@x.de", "c@x.de")


def test_standard_input(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("Gr\u00fc\u00dfe".encode())))
    mail_id = shell.good("mail", "send", *LETTER, "--text", "-", "--json").row["mail"]
    assert shell.good("mail", "show", str(mail_id), "--json").row["text"] == "Gr\u00fc\u00dfe\n"
    assert shell.run("mail", "send", *LETTER, "--text", "-", "--html", "-").code == 2
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"abc\xff")))
    assert "standard input is not UTF-8, at byte 3" in shell.run("mail", "send", *LETTER, "--text", "-").err


def test_standard_input_that_can_not_be_read_is_told_and_not_blamed_on_the_output(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("mail", "send", *LETTER, "--text", "-")
    monkeypatch.setattr("sys.stdin", None)
    closed = shell.run(*words)
    assert (closed.code, "standard input is closed" in closed.err) == (1, True)
    with os.fdopen(os.open(os.devnull, os.O_WRONLY)) as unreadable:
        monkeypatch.setattr("sys.stdin", unreadable)
        broken = shell.run(*words)
    assert (broken.code, "standard input can't be read: Bad file descriptor" in broken.err) == (1, True)
    assert shell.deliveries() == []


def test_what_can_not_be_read_sends_nothing(shell: Shell, text: str) -> None:
    latin = shell.path("latin.txt", b"Gr\xfc\xdfe")
    huge = shell.path("huge", b"")
    os.truncate(huge, (1 << 30) + 1)
    for words, code, told in (
        ((), 2, "there is nothing to send"),
        (("--text", str(shell.folder / "missing")), 1, "can't be read: No such file"),
        (("--text", latin), 1, "is not UTF-8, at byte 2"),
        (("--text", text, "--attach", huge), 1, "larger than 1 GiB"),
        (("--text", text, "--to", "nobody"), 1, "'nobody' is no address"),
        (("--text", text, "--cc", "a@x.de\r\nBcc: b@x.de"), 1, "line breaks"),
        (("--text", text, "--bcc", "b@x.de"), 1, "account acme-out refuses it: it sends no Bcc"),
    ):
        done = shell.run("mail", "send", *LETTER, *words)
        assert (done.code, done.out) == (code, "")
        assert told in done.err
    assert shell.deliveries() == []


def test_a_refusal_names_the_line_of_the_rule(shell: Shell, text: str) -> None:
    done = shell.run("mail", "send", *LETTER, "--text", text, "--bcc", "b@x.de")
    assert "The rule is `bcc`, in accounts/acme-out.yaml:10." in done.err


# --- explain ----------------------------------------------------------------------------------------------------------


def test_explain_shows_what_would_happen_and_sends_nothing(shell: Shell, text: str) -> None:
    done = shell.good("mail", "send", *LETTER, "--text", text, "--explain")
    assert shell.deliveries() == []
    *lines, last = done.out.splitlines()
    assert last == "Nothing was sent."
    assert lines[:4] == [
        "By:         account acme-out (smtp), as is",
        "From:       Acme Tours <desk@acme.example>; envelope: desk@acme.example",
        "To:         anna@nord.example",
        "Subject:    Rome",
    ]
    assert lines[4].endswith(" bytes")
    assert lines[5:8] == [
        "Rule:       match (accounts/acme-out.yaml:8): allowed: from desk@acme.example, any sender is allowed",
        "Rule:       cc (accounts/acme-out.yaml:8): allowed: no Cc",
        "Rule:       bcc (accounts/acme-out.yaml:10): allowed: no Bcc",
    ]


def test_explain_shows_every_refusal_and_fails(shell: Shell, text: str) -> None:
    words = ("mail", "send", *LETTER, "--text", text, "--bcc", "b@x.de", "--explain")
    done = shell.run(*words)
    assert done.code == 1
    assert "bcc (accounts/acme-out.yaml:10): refused: it sends no Bcc" in done.out
    assert "\nTo:         anna@nord.example\nBcc:        b@x.de\n" in done.out
    assert done.out.endswith("It would be refused. Nothing was sent.\n")
    done = shell.run(*words, "--json")
    assert done.code == 1
    row = done.row
    assert (row["allowed"], row["subject"], row["notes"]) == (False, "Rome", [])
    assert row["deliveries"] == [
        {
            "forwarder": "smtp",
            "account": "acme-out",
            "target": None,
            "mode": "as is",
            "from": "Acme Tours <desk@acme.example>",
            "envelope": "desk@acme.example",
            "to": ["anna@nord.example", "b@x.de"],
        }
    ]
    assert [one["rule"] for one in row["rules"] if not one["allowed"]] == ["bcc"]
    assert row["rules"][2] == {
        "account": "acme-out", "rule": "bcc", "where": "accounts/acme-out.yaml:10", "allowed": False, "because": "it sends no Bcc",
    }  # fmt: skip


# --- reply and forward ------------------------------------------------------------------------------------------------


def test_reply(shell: Shell, text: str) -> None:
    mail_id = shell.file(make_raw(1, subject="AW: Rome"))
    sent = shell.good("mail", "reply", str(mail_id), "--text", text, "--json").row["mail"]
    shown = shell.good("mail", "show", str(sent), "--json").row
    assert (shown["subject"], shown["to"], [link["id"] for link in shown["links"]]) == ("Re: Rome", ["anna@example.com"], ["C1"])
    assert "> Hello" in shown["text"]
    explained = shell.good("mail", "reply", str(mail_id), "--all", "--text", text, "--explain", "--json").row
    assert explained["deliveries"][0]["to"] == ["anna@example.com", "reservations@example.com"]
    assert len(shell.deliveries()) == 1


def test_programs_are_told_what_people_are(shell: Shell, text: str) -> None:
    mail_id = shell.file(b"From: anna@nord.example\r\nReply-To: list@nord.example, junk\r\nSubject: Rome\r\n\r\nHello\r\n")
    row = shell.good("mail", "reply", str(mail_id), "--text", text, "--json").row
    assert row["notes"][0] == "it goes to list@nord.example and 1 more, as Reply-To asks, and not to the sender, anna@nord.example"
    assert row["notes"][1].startswith("left out: 'junk' is no address")


def test_reply_to_personal_mail(shell: Shell, text: str) -> None:
    mail_id = shell.file(make_raw(1), owner="irina")
    assert shell.run("mail", "reply", str(mail_id), "--text", text).code == 1
    done = shell.good("mail", "reply", str(mail_id), "--text", text, "--user", "irina")
    assert "--operator acme --user irina\n" in done.err
    assert b'Reply-To: "Irina Mari" <irina@acme.example>\r\n' in shell.raw(shell.deliveries()[0].mail_id)


def test_forward(shell: Shell) -> None:
    mail_id = shell.file(b"Auto-Submitted: auto-replied\r\n" + make_raw(1))
    done = shell.good("mail", "forward", str(mail_id), "duty manager", "night", "hook")
    ids = [one.id for one in reversed(shell.deliveries())]
    assert done.out == f"Mail {mail_id}: deliveries {', '.join(map(str, ids))}.\n"
    assert done.err.startswith("Note: no rule would forward it: ")
    assert [one.delivery.goal for one in reversed(shell.deliveries())] == ["duty@acme.example", "night", "hook"]
    done = shell.run("mail", "forward", str(mail_id), "night")
    assert done.code == 1
    assert "already: delivery" in done.err
    assert shell.good("mail", "forward", str(mail_id), "night", "--again", "--inline", "--json").row["mail"] == mail_id
    assert shell.deliveries()[0].delivery.mode == "inline"
    done = shell.run("mail", "forward", str(mail_id), "evil@x.de")
    assert "'evil@x.de' is not approved" in done.err
    assert "Duty manager <duty@acme.example>" in done.err


def test_explain_forward(shell: Shell) -> None:
    mail_id = shell.file(b"Auto-Submitted: auto-replied\r\n" + make_raw(1))
    done = shell.good("mail", "forward", str(mail_id), "duty manager", "night", "hook", "--inline", "--explain")
    *lines, last = done.out.splitlines()
    assert last == "Nothing was sent."
    assert [line for line in lines if not line.startswith(("Size:", "Rule:", "Note:"))] == [
        "By:         account acme-out (smtp), inline",
        "From:       as the original says; envelope: desk@acme.example",
        "To:         duty@acme.example",
        "By:         account acme-out (smtp), inline",
        "From:       as the original says; envelope: desk@acme.example",
        "To:         night@acme.example (target night)",
        "By:         target hook (webhook), attached",
        "To:         hook (target hook)",
    ]
    assert [line.split()[1] for line in lines if line.startswith("Rule:")] == ["max_bytes"]
    assert sum(line.startswith("Note:") for line in lines) == 1
    row = shell.good("mail", "forward", str(mail_id), "hook", "--explain", "--json").row
    assert row["subject"] is None
    assert row["deliveries"] == [
        {
            "forwarder": "webhook",
            "account": None,
            "target": "hook",
            "mode": "attached",
            "from": None,
            "envelope": None,
            "to": ["hook"],
        }
    ]
    assert shell.deliveries() == []
