"""What a POP3 server says in several ways is held against each other; what it serves is what it has."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from gatewayd import Action, AuthError, Came, Failed, GatewaydError, Listed, Page, Spool, TransientError
from tests.plugins.pop3_script import PASSWORD, Stage, session

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatewayd_pop3.transport import Pop3Session


@pytest.fixture
def stage() -> Iterator[Stage]:
    with ExitStack() as stack:
        yield Stage(stack)


def mail(number: int, more: bytes = b"") -> bytes:
    return b"Message-ID: <%d@example.com>\r\nSubject: Booking\r\n\r\nhello%s\r\n" % (number, more)


def page(opened: Pop3Session) -> Page:
    (found,) = opened.listing("INBOX", "listed")
    return found


def test_a_sound_listing_has_its_sizes_and_its_count_and_no_doubt(stage: Stage) -> None:
    script = stage.play([mail(1), mail(2, b"!")])
    with session(script) as opened:
        found = page(opened)
    assert (found.exists, found.doubts, found.others_gone) == (2, (), True)
    assert [one.size for one in found.keys] == [len(mail(1)), len(mail(2)) + 1]


@pytest.mark.parametrize(
    ("replies", "doubt"),
    [
        ({"LIST": b"+OK\r\n.\r\n"}, "STAT counts 2 messages, LIST lists 0"),
        ({"LIST": b"+OK\r\n1 55\r\n.\r\n"}, "STAT counts 2 messages, LIST lists 1"),
        ({"UIDL": b"+OK\r\n.\r\n", "LIST": b"+OK\r\n.\r\n"}, "STAT counts 2 messages, UIDL and TOP lists 0"),
        ({"STAT": b"+OK 3 100\r\n"}, "STAT counts 3 messages, LIST lists 2"),
        ({"STAT": b"-ERR what?\r\n", "LIST": b"+OK\r\n1 55\r\n.\r\n"}, "LIST lists 1 messages, UIDL 2"),
        ({"STAT": b"+OK many\r\n", "LIST": b"+OK\r\n1 55\r\n.\r\n"}, "LIST lists 1 messages, UIDL 2"),
    ],
)
def test_P1_where_the_server_contradicts_itself_nothing_is_gone_on_its_word(
    stage: Stage, replies: dict[str, bytes], doubt: str
) -> None:
    script = stage.play([mail(1), mail(2)], replies=replies)
    with session(script) as opened:
        found = page(opened)
    assert doubt in found.doubts
    assert not found.others_gone


def test_P1_P3_what_a_listing_lacks_that_contradicts_itself_is_neither_gone_nor_settled(stage: Stage, tmp_path: Path) -> None:
    script = stage.play([mail(1), mail(2)], replies={"UIDL": b"+OK\r\n1 u1\r\n.\r\n", "LIST": b"+OK\r\n1 59\r\n.\r\n"})
    asked = [Listed("u1", len(mail(1))), Listed("u2", len(mail(2)))]
    with session(script) as opened, Spool(tmp_path / "spool") as spool:
        spool.expect(asked, 1 << 20)
        found = {one.key: one for one in opened.fetch("INBOX", asked, spool)}
        lacking = found["u2"]
        assert isinstance(lacking, Failed)
        assert "STAT counts 2 messages, LIST lists 1" in lacking.cause
        assert isinstance(found["u1"], Came)
        assert [one.key for one in opened.look_up("INBOX", ["u1"])] == ["u1"]
        with pytest.raises(TransientError, match="STAT counts 2 messages"):
            list(opened.look_up("INBOX", ["u1", "u2"]))
        with pytest.raises(TransientError, match="STAT counts 2 messages"):
            opened.settle("INBOX", ["u1", "u2"], Action(do="delete"))
    assert not script.deleted


def test_P1_messages_of_one_uidl_are_told_apart_whichever_of_them_goes(stage: Stage) -> None:
    """popa3d and solid-pop3d hash a few headers. Numbers behind the UIDL would move up when the first one goes."""
    mails = [mail(1), mail(2), mail(3, b"!")]
    script = stage.play(mails, uidls=[b"same"] * 3)
    with session(script) as opened:
        before = {one.key: one.size for one in page(opened).keys}
    script.mails, script.uidls = [mails[1], mails[2], mail(4)], [b"same"] * 3
    with session(script) as opened:
        after = {one.key: one.size for one in page(opened).keys}
    assert len(before) == len(after) == 3
    assert len(before.keys() & after.keys()) == 2
    assert all(before[key] == after[key] for key in before.keys() & after.keys())


def test_P1_a_uidl_that_is_used_again_shows_by_its_size(stage: Stage) -> None:
    script = stage.play([mail(1)], uidls=[b"same"])
    with session(script) as opened:
        (before,) = page(opened).keys
    script.mails = [mail(1, b" and more")]
    with session(script) as opened:
        (after,) = page(opened).keys
        assert list(opened.look_up("INBOX", [before.key, "gone"])) == [after]
    assert before.key == after.key
    assert (before.size, after.size) == (len(mail(1)), len(mail(1)) + 9)


# --- what is asked for before the log-in ------------------------------------------------------------------------------


def test_P5_utf_8_is_asked_for_before_the_log_in_where_the_server_has_it(stage: Stage, tmp_path: Path) -> None:
    """RFC 6856: without it Courier serves another message in place of one with raw UTF-8 in its header."""
    script = stage.play([mail(1)], capa="TOP UIDL UTF8")
    with session(script) as opened:
        found = page(opened).keys
        with Spool(tmp_path / "spool") as spool:
            assert isinstance(next(iter(opened.fetch("INBOX", found, spool))), Came)
    assert script.heard[:4] == ["CAPA", "UTF8", "USER irina", f"PASS {PASSWORD}"]


@pytest.mark.parametrize("replies", [{"UTF8": b"-ERR not for you\r\n"}, {"CAPA": b"-ERR what?\r\n"}])
def test_a_server_without_utf_8_is_read_all_the_same(stage: Stage, replies: dict[str, bytes]) -> None:
    script = stage.play([mail(1)], capa="UIDL UTF8", replies=replies)
    with session(script) as opened:
        assert page(opened).keys == (Listed("u1", len(mail(1))),)


# --- a refused log-in -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        "maildrop already locked",
        "unable to lock maildrop",
        "Unable to lock your mailbox, is another session active?",
        "[IN-USE] /var/spool/mail/.anna.pop lock busy!  Is another session active? (11)",
        "Mailbox is locked by POP3 server",
        "mailbox in use",
        "your mailbox is busy, try again later",
        "Authentication OK, but mailbox already in use",
        "login failed: maildrop already locked",
        "login interval too short",
        "Exceeded the login limit for a 15 minute period. Reduce the frequency of requests to the POP3 server.",
        "too many connections from your host",
        "Maximum number of concurrent sessions reached",
        "You are connecting too often",
        "temporary problem, please try again",
        "the server is busy",
        "Server Unavailable. 21",
        "another session is in progress",
    ],
)
def test_a_mailbox_that_is_taken_is_no_wrong_password(stage: Stage, words: str) -> None:
    """RFC 1939 has no codes: these are words of qpopper, Courier, popa3d, Exchange and others."""
    script = stage.play([], replies={"PASS": f"-ERR {words}\r\n".encode()})
    with pytest.raises(TransientError), session(script):
        pass


@pytest.mark.parametrize(
    "words",
    [
        "",
        "no such user",
        "invalid password",
        "[AUTH] Username and password not accepted; mailbox locked",
        "Logon failure: unknown user name or bad password.",
        "account is locked out after too many failed attempts",
        "authentication failed, try again",
        "user disabled",
        "password expired, try again later",
        "POP3 access is denied for this account",
    ],
)
def test_a_refusal_of_who_we_are_pauses_the_account(stage: Stage, words: str) -> None:
    script = stage.play([], replies={"PASS": f"-ERR {words}\r\n".encode()})
    with pytest.raises(AuthError), session(script):
        pass


@pytest.mark.parametrize("command", ["USER", "PASS", "CAPA", "STAT", "LIST", "UIDL", "RETR 1"])
def test_P9_a_password_that_the_server_repeats_is_never_shown(stage: Stage, tmp_path: Path, command: str) -> None:
    for reply in (f"-ERR {PASSWORD}\r\n", f"what is PASS {PASSWORD}\r\n", "-ERR " + "x" * 190 + PASSWORD + "\r\n"):
        script = stage.play([mail(1)], replies={command: reply.encode()})
        told = ""
        try:
            with session(script) as opened, Spool(tmp_path / "spool") as spool:
                told = repr(list(opened.fetch("INBOX", page(opened).keys, spool)))
        except GatewaydError as error:
            told = error.message + error.advice
        assert not [part for part in (PASSWORD, PASSWORD[:6]) if part in told]


@pytest.mark.parametrize(("greeting", "name"), [(b"* OK IMAP4rev1\r\n", "IMAP"), (b"220 mx ESMTP\r\n", "SMTP")])
def test_another_protocols_server_is_named(stage: Stage, greeting: bytes, name: str) -> None:
    script = stage.play([], replies={"greeting": greeting})
    with pytest.raises(TransientError, match="expected a POP3 reply") as caught, session(script):
        pass
    assert name in caught.value.advice
