"""``account add``: a person makes an account at the keyboard alone, up to its first mail; nothing is overwritten or given away."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.messages import booking_messages
from tests.e2e.house import ROOT, House
from tests.e2e.terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot

#: No resolver is asked for a domain that can't be.
ADDRESS = "irina@localhost"


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.operator("acme")
    return house


def answer(terminal: Terminal, *pairs: tuple[str, str]) -> None:
    for question, text in pairs:
        terminal.wait_for(question)
        terminal.type(text)


def server(kind: str, dovecot: Dovecot) -> tuple[tuple[str, str], ...]:
    return ("Kind", kind), ("Host", "localhost"), ("Security", "tls"), ("Port", str(dovecot.ports[f"{kind}s"]))


@pytest.mark.parametrize("kind", ["imap", "pop3"])
def test_a_mailbox_is_added_at_the_keyboard_and_its_mail_comes(house: House, dovecot: Dovecot, kind: str) -> None:
    user = f"{house.state.parent.name}-{kind}"
    dovecot.user(user, "sesame")
    dovecot.deliver(user, booking_messages(3))
    with Terminal(house, "account", "add", "--ca-file", dovecot.ca_file) as terminal:
        answer(
            terminal, ("Mail address", ADDRESS), ("Name of the account [irina]", ""), *server(kind, dovecot), ("User name", user)
        )
        answer(terminal, ("Password", "wrong"), ("once more", "other"))
        terminal.wait_for("do not match")
        answer(terminal, ("Password", "wrong"), ("once more", "wrong"))
        assert "log-in" in terminal.wait_for("again, write the files anyway, or quit")
        assert not (house.folder / "accounts/irina.yaml").exists()
        terminal.type("again")
        answer(terminal, ("Kind", ""), ("Host [localhost]", ""), ("Security", ""), (f"Port [{dovecot.ports[kind + 's']}]", ""))
        answer(terminal, (f"User name [{user}]", ""), ("Password", "sesame"), ("once more", "sesame"))
        terminal.wait_for("gatewayd import irina")
        assert terminal.ended() == 0
        assert "sesame" not in terminal.shown
    assert (house.folder / "credentials").stat().st_mode & 0o777 == 0o700
    assert (house.folder / "credentials/irina").stat().st_mode & 0o777 == 0o600
    assert house.good("account", "test", "irina").out == "irina: ok\n"
    house.good("import", "irina")
    assert len(house.filed("irina")) == 3


def test_nothing_is_sent_to_a_host_of_others_unless_the_person_says_so(house: House, dovecot: Dovecot) -> None:
    with Terminal(house, "account", "add", "main", "--ca-file", dovecot.ca_file) as terminal:
        terminal.wait_for("Mail address")
        terminal.type("irina@acme.invalid")
        answer(terminal, *server("imap", dovecot))
        terminal.wait_for("localhost is not of acme.invalid. Send the password of irina@acme.invalid there?")
        terminal.type("n")
        answer(terminal, *server("imap", dovecot), ("localhost is not of", "y"), ("User name", ""), ("Password", "pass"))
        answer(terminal, ("once more", "pass"), ("or quit", "quit"))
        terminal.wait_for("nothing was written")
        assert terminal.ended() == 1
    assert [*(house.folder / "accounts").iterdir()] == []
    assert not (house.folder / "credentials").exists()


def test_a_certificate_that_nobody_vouches_for_gets_no_password(house: House, dovecot: Dovecot) -> None:
    with Terminal(house, "account", "add", "main") as terminal:
        answer(terminal, ("Mail address", ADDRESS), *server("imap", dovecot), ("User name", ""), ("Password", "pass"))
        terminal.wait_for("once more")
        terminal.type("pass")
        assert "certificate" in terminal.wait_for("or quit")
        terminal.type("write")
        terminal.wait_for("gatewayd status")
        assert terminal.ended() == 0
    assert "security: tls\n" in (house.folder / "accounts/main.yaml").read_text()


def test_what_can_not_be_is_asked_for_again(house: House) -> None:
    house.operator("globetrot")
    house.write("accounts/irina.yaml", "nonsense")
    with Terminal(house, "account", "add") as terminal:
        answer(terminal, ("Mail address", "irina"), ("such as irina@example.com", ADDRESS))
        answer(
            terminal, ("Name of the account:", "irina"), ("there is an account irina already", "No good"), ("a name such as", "no")
        )
        answer(
            terminal,
            ("Operators that it serves [acme, globetrot]", "acme, nobody"),
            ("expected some of acme, globetrot", "globetrot"),
        )
        terminal.wait_for("Kind")
    assert (house.folder / "accounts/irina.yaml").read_text() == "nonsense"


def test_a_secret_that_is_there_is_nobody_elses_and_a_user_must_be_there(house: House) -> None:
    house.write("credentials/irina", "another's\n")
    with Terminal(house, "account", "add") as terminal:
        answer(terminal, ("Mail address", ADDRESS), ("Name of the account", "irina"), ("a file credentials/irina already", "more"))
        terminal.wait_for("Kind")
    assert (house.folder / "credentials/irina").read_text() == "another's\n"
    with Terminal(house, "account", "add", "--user", "acme/nobody") as terminal:
        terminal.wait_for("operator acme has no user 'nobody'")
        assert terminal.ended() == 1


def test_a_provider_that_takes_no_passwords_and_a_port_that_is_none_are_told(house: House) -> None:
    with Terminal(house, "account", "add", "one") as terminal:
        answer(terminal, ("Mail address", "irina@outlook.com"))
        terminal.wait_for("Microsoft takes no passwords any more")
        assert terminal.ended() == 1
    with Terminal(house, "account", "add", "one") as terminal:
        answer(terminal, ("Mail address", ADDRESS), ("Kind", "imap"), ("Host", "localhost"), ("Security", "tls"), ("Port", "y"))
        answer(terminal, ("expected a number from 1 to 65535", "0"), ("expected a number", ""))
        terminal.wait_for("User name")


def test_without_a_terminal_nothing_is_asked(house: House) -> None:
    done = house.run("account", "add", "main")
    assert done.code == 2
    assert "there is no terminal" in done.err
    assert "write the files by hand" in done.err


def test_accounts_are_listed_and_shown_with_the_line_of_each_setting(house: House) -> None:
    house.account("main", "imap", 993, "irina", more="description: Sales\n", imports="  every: 90s\n")
    (row,) = house.good("account", "list", "--json").rows
    assert row == {
        "account": "main",
        "kind": "imap",
        "server": "localhost:993",
        "username": "irina",
        "imports": True,
        "sends": False,
        "serves": ["acme"],
        "description": "Sales",
    }
    assert "irina at localhost:993" in house.good("account", "list").out
    shown = {row["name"]: (row["value"], row["where"]) for row in house.good("account", "show", "main", "--json").rows}
    assert shown["import.every"] == ("90s", "accounts/main.yaml:13")
    assert shown["import.after"] == ("keep", "")
    assert shown["password"] == (f"!file {house.folder}/secret", "accounts/main.yaml:8")
    assert "default" in house.good("account", "show", "main").out


def test_an_account_that_does_not_work_is_told_when_it_is_tried(house: House, dovecot: Dovecot) -> None:
    user = f"{house.state.parent.name}-refused"
    dovecot.user(user, "another")
    house.account("main", "imap", dovecot.ports["imap"], user)
    done = house.run("account", "test", "main")
    assert done.code == 1
    assert done.out.startswith("main: ")
    assert house.run("account", "test", "nobody").code == 1


def made(house: House) -> set[str]:
    return {str(path.relative_to(house.folder)) for path in house.folder.rglob("*") if path.is_file()}


def refused(terminal: Terminal) -> None:
    """Answer up to a log-in that is refused, since nothing listens."""
    answer(terminal, ("Mail address", ADDRESS), ("Kind", ""), ("Host", "localhost"), ("Security", "starttls"), ("Port", "1"))
    answer(terminal, ("User name", ""), ("Password", "pass"), ("once more", "pass"))


def test_what_no_file_can_keep_is_asked_for_again(house: House) -> None:
    with Terminal(house, "account", "add", "main") as terminal:
        # What comes behind ^V is typed as it is.
        answer(terminal, ("Mail address", ADDRESS), ("Kind", ""), ("Host", "a\x16\x01b"))
        terminal.wait_for("without control characters")
        answer(terminal, ("Host", "localhost"), ("Security", "starttls"), ("Port", "1"), ("User name", "a\x16\x01b"))
        terminal.wait_for("without control characters")
        answer(terminal, ("User name", ""))
        for raw, what in ((b"a\x16\0b\n", "without control characters"), (b"\xff\n", "own charset"), (b"x" * 5000 + b"\n", "4095")):
            for question in ("Password", "once more"):
                terminal.wait_for(question)
                terminal.type_raw(raw)
            terminal.wait_for(what)
        quoted = "a\"'\\ $`#: \u20ac "
        answer(terminal, ("Password", quoted), ("once more", quoted), ("or quit", "write"))
        assert terminal.ended() == 0, terminal.shown
    assert (house.folder / "credentials/main").read_text() == f"{quoted}\n"


def test_what_was_said_is_offered_again_and_only_for_its_kind(house: House) -> None:
    with Terminal(house, "account", "add", "main") as terminal:
        refused(terminal)
        answer(terminal, ("or quit", "again"), ("Kind", ""), ("Host [localhost]", ""), ("[starttls]", ""), ("Port [1]", ""))
        answer(terminal, ("User name", ""), ("Password", "pass"), ("once more", "pass"), ("or quit", "again"), ("Kind", "pop3"))
        answer(terminal, ("Host:", "localhost"), ("[tls]", ""), ("Port [995]", ""))
        terminal.wait_for("User name")


@pytest.mark.parametrize("there", ["accounts/main.yaml", "credentials/main"])
def test_what_somebody_makes_meanwhile_stays_as_it_is(house: House, there: str) -> None:
    with Terminal(house, "account", "add", "main") as terminal:
        refused(terminal)
        terminal.wait_for("or quit")
        house.write(there, "another's")
        before = made(house)
        terminal.type("write")
        terminal.wait_for("since a moment ago")
        assert terminal.ended() == 1
    assert made(house) == before
    assert (house.folder / there).read_text() == "another's"


def test_no_secret_stays_where_the_account_s_file_can_not_be_written(house: House) -> None:
    accounts = house.folder / "accounts"
    with Terminal(house, "account", "add", "main") as terminal:
        refused(terminal)
        terminal.wait_for("or quit")
        accounts.rmdir()
        # Root may write to whatever folder there is, but not into this one.
        accounts.symlink_to("/proc/self/fdinfo")
        terminal.type("write")
        assert terminal.ended() == 1, terminal.shown
    assert not (house.folder / "credentials/main").exists()


@pytest.mark.parametrize("answers", [0, 2, 6, 7, 8])
def test_who_gives_up_at_a_question_leaves_nothing_behind(house: House, answers: int) -> None:
    before = made(house)
    questions = [("Mail address", ADDRESS), ("Kind", ""), ("Host", "localhost"), ("Security", ""), ("Port", "1")]
    questions += [("User name", ""), ("Password", "pass"), ("once more", "pass"), ("or quit", "")]
    with Terminal(house, "account", "add", "main") as terminal:
        answer(terminal, *questions[:answers])
        terminal.wait_for(questions[answers][0])
        # Ctrl-D.
        terminal.type_raw(b"\x04")
        assert terminal.ended() == 130, terminal.shown
        assert "Traceback" not in terminal.shown
    assert made(house) == before


def test_a_faulty_config_is_told_before_anything_is_asked(house: House) -> None:
    house.write("gatewayd.yaml", "state: [")
    with Terminal(house, "account", "add", "main") as terminal:
        assert "Mail address" not in terminal.wait_for("gatewayd.yaml is faulty")
        assert terminal.ended() == 78


def test_a_file_of_certificates_is_that_of_the_folder_where_the_command_runs(house: House, dovecot: Dovecot) -> None:
    given = os.path.relpath(dovecot.ca_file, ROOT)
    with Terminal(house, "account", "add", "main", "--ca-file", given) as terminal:
        refused(terminal)
        terminal.wait_for("connection refused")
        answer(terminal, ("or quit", "write"))
        assert terminal.ended() == 0, terminal.shown
    assert f"ca_file: '{ROOT}/{given}'\n" in (house.folder / "accounts/main.yaml").read_text()


def test_root_adds_an_account_in_a_folder_that_is_root_s_beside_a_state_that_is_the_service_s(house: House) -> None:
    if os.geteuid() != 0:
        pytest.skip("not root")
    # Nobody else enters the folder of secrets, as `gatewayd install` has made it.
    house.write("credentials/other", "another's")
    (house.folder / "credentials").chmod(0o700)
    house.state.mkdir()
    os.chown(house.state, 65534, 65534)
    with Terminal(house, "account", "add", "main") as terminal:
        refused(terminal)
        answer(terminal, ("or quit", "write"))
        terminal.wait_for("gatewayd import main")
        assert terminal.ended() == 0, terminal.shown
    for name, mode in (("accounts/main.yaml", 0o644), ("credentials/main", 0o600)):
        found = (house.folder / name).stat()
        assert (found.st_uid, found.st_mode & 0o777) == (0, mode)
    assert not [path for path in house.folder.rglob("*") if path.stat().st_uid]


def test_a_name_that_can_not_be_is_told_before_anything_is_asked(house: House) -> None:
    house.write("accounts/irina.yaml", "nonsense")
    for name, said in (("irina", "there is an account irina already"), ("../x", "expected a name such as sales")):
        with Terminal(house, "account", "add", name) as terminal:
            assert "Mail address" not in terminal.wait_for(said)
            assert terminal.ended() == 2


def test_what_is_about_files_alone_does_not_open_the_store(house: House) -> None:
    house.operator("acme", more="users:\n  irina: {name: Irina, email: irina@acme.example}\n")
    house.account("main", "imap", 1, "irina")
    house.good("mail", "list")
    with closing(sqlite3.connect(house.database)) as db:
        db.execute("DROP TABLE user_account")
    for words in (("account", "show", "main"), ("account", "test", "main"), ("directory", "load")):
        assert "user_account" not in house.run(*words).err, words
    assert "user_account" in house.run("account", "list").err, "which needs those that users added"
