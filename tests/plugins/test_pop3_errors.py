"""Every way in which a POP3 server says no, and the kernel's verb for it."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest

from gatewayd import Action, AuthError, GatewaydError, PermanentError, Secret, Spool, TransientError
from tests.patience import AT_ONCE, LONG
from tests.plugins.pop3_script import PASSWORD, Script, Stage, session, transport
from tests.plugins.scripted import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAIL = b"Subject: Booking 1\r\n\r\nhello\r\n"


@pytest.fixture
def stage() -> Iterator[Stage]:
    with ExitStack() as stack:
        yield Stage(stack)


@pytest.mark.parametrize(
    ("replies", "error", "text"),
    [
        ({"PASS": b"-ERR no\r\n"}, AuthError, "log-in as 'irina' was refused"),
        ({"USER": b"-ERR no\r\n"}, AuthError, "log-in as 'irina' was refused"),
        ({"PASS": b"-ERR [AUTH] no\r\n"}, AuthError, "no"),
        ({"PASS": b"-ERR [sys/perm] no\r\n"}, AuthError, "no"),
        ({"PASS": b"-ERR [IN-USE] locked\r\n"}, TransientError, "locked"),
        ({"PASS": b"-ERR [LOGIN-DELAY] slowly\r\n"}, TransientError, "slowly"),
        ({"PASS": b"-ERR [SYS/TEMP] disk\r\n"}, TransientError, "disk"),
        ({"PASS": b""}, TransientError, "closed the connection"),
        ({"PASS": b"HTTP/1.1 400\r\n"}, TransientError, "expected a POP3 reply"),
        ({"greeting": b"-ERR too many connections\r\n"}, TransientError, "too many connections"),
        ({"greeting": b"220 smtp.example.com ESMTP\r\n"}, TransientError, "expected a POP3 reply"),
        ({"greeting": b"+OK" + b"x" * 30_000 + b"\r\n"}, TransientError, "expected a POP3 reply"),
        ({"greeting": b""}, TransientError, "closed the connection"),
        ({"CAPA": b""}, TransientError, "closed the connection"),
        ({"CAPA": b"+OK " + b"x" * 10_000}, TransientError, "expected a POP3 reply"),
        ({"LIST": b"+OK " + b"x" * 10_000}, TransientError, "expected a POP3 reply"),
        ({"LIST": b"* OK IMAP4rev1\r\n"}, TransientError, "expected a POP3 reply"),
        ({"CAPA": b"+OK\r\n.\r\n+OK more than was asked for\r\n"}, TransientError, "more than was asked"),
    ],
)
def test_a_refusal_becomes_the_right_verb(stage: Stage, replies: dict[str, bytes], error: type[GatewaydError], text: str) -> None:
    script = stage.play([MAIL], replies=replies)
    with pytest.raises(error) as caught, session(script) as opened:
        list(opened.listing("INBOX", None))
    assert type(caught.value) is error
    assert text in caught.value.message
    assert caught.value.advice or error is TransientError


def test_P9_a_server_that_echoes_the_password_is_not_quoted(stage: Stage) -> None:
    script = stage.play([MAIL], replies={"PASS": f"-ERR {PASSWORD} is wrong\r\n".encode()})
    with pytest.raises(AuthError) as caught:
        transport(script.port).open()
    assert PASSWORD not in repr(caught.value)
    assert "was refused" in caught.value.message


@pytest.mark.parametrize("sign", ["\r", "\n", "\0"])
def test_what_pop3_can_not_send_is_refused(stage: Stage, sign: str, monkeypatch: pytest.MonkeyPatch) -> None:
    script = stage.play([MAIL])
    with pytest.raises(AuthError, match="the username holds"):
        transport(script.port, username=f"irina{sign}DELE 1").open()
    if sign != "\0":
        monkeypatch.setenv("POP3_TEST_BREAK", f"secret{sign}DELE 1")
        with pytest.raises(AuthError, match="the password holds") as caught:
            transport(script.port, password=Secret("env", "POP3_TEST_BREAK")).open()
        assert "secret" not in caught.value.message
    assert not [line for line in script.heard if line.startswith(("USER", "DELE"))]


def test_names_and_passwords_are_sent_as_utf_8(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POP3_TEST_ACCENT", "žluťoučký kůň")
    script = stage.play([MAIL])
    transport(script.port, username="jiří", password=Secret("env", "POP3_TEST_ACCENT")).open().close()
    assert script.heard[1:3] == ["USER jiří", "PASS žluťoučký kůň"]


def test_starttls_that_is_not_offered_never_sends_the_password(stage: Stage) -> None:
    script = stage.play([MAIL], capa="TOP UIDL")
    with pytest.raises(AuthError, match="does not offer STLS") as caught:
        transport(script.port, security="starttls").open()
    assert "security: tls" in caught.value.advice
    assert script.heard == ["CAPA"]


@pytest.mark.parametrize("reply", [b"-ERR not now\r\n", b""])
def test_starttls_that_is_refused_is_tried_again(stage: Stage, reply: bytes) -> None:
    script = stage.play([MAIL], capa="STLS", replies={"STLS": reply})
    with pytest.raises(TransientError):
        transport(script.port, security="starttls").open()
    assert not [line for line in script.heard if line.startswith("USER")]


def test_P8_a_listing_without_end_is_given_up(stage: Stage) -> None:
    script = stage.play([MAIL], replies={"LIST": b"+OK\r\n" + b"1 100\r\n" * 10_000_000 + b".\r\n"})
    with session(script) as opened, pytest.raises(PermanentError, match="more than 40000 messages in its LIST") as caught:
        list(opened.listing("INBOX", None))
    assert "max_messages" in caught.value.advice


def test_capabilities_that_are_no_words_do_no_harm(stage: Stage) -> None:
    script = stage.play([MAIL], replies={"CAPA": b"+OK\r\n\r\n \r\n\xff\xfe\r\nstls\r\n.\r\n", "STLS": b"-ERR not now\r\n"})
    with session(script) as opened:
        assert len(next(opened.listing("INBOX", None)).keys) == 1
    with pytest.raises(TransientError, match="STLS was refused"):
        transport(script.port, security="starttls").open()


def test_tls_to_a_plain_port_is_said_so(stage: Stage) -> None:
    script = stage.play([MAIL])
    with pytest.raises(TransientError, match="TLS failed") as caught:
        transport(script.port, security="tls").open()
    assert "starttls" in caught.value.advice


def test_a_refused_port_and_an_unknown_host_are_transient() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(TransientError, match="connection refused"):
        transport(port).open()
    with pytest.raises(TransientError, match="host not found"):
        transport(port, host="pop.invalid").open()


def test_P8_a_silent_server_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(TransientError, match="no answer within 1 s"):
        transport(listener.getsockname()[1], timeout="1s").open()


def test_a_connection_that_breaks_inside_a_message_leaves_nothing_of_it(stage: Stage, tmp_path: Path) -> None:
    script = stage.play([MAIL, MAIL], replies={"RETR 2": b"+OK\r\nSubject: half a mess"}, last="RETR 2")
    with Spool(tmp_path / "spool") as spool, session(script) as opened:
        (page,) = opened.listing("INBOX", None)
        fetching = opened.fetch("INBOX", page.keys, spool)
        assert next(fetching).key == "u1"
        with pytest.raises(TransientError, match="connection"):
            next(fetching)
        spool.seal()
        assert (tmp_path / "spool").read_bytes()[: len(MAIL)] == MAIL


def test_only_inbox_exists_and_only_deleting_is_possible(stage: Stage, tmp_path: Path) -> None:
    script = stage.play([MAIL])
    with session(script) as opened, Spool(tmp_path / "spool") as spool:
        for use in (
            lambda: list(opened.listing("Archive", None)),
            lambda: list(opened.headers("Archive", ["u1"])),
            lambda: list(opened.fetch("Archive", [], spool)),
            lambda: opened.settle("Archive", ["u1"], Action(do="delete")),
            lambda: opened.settle("INBOX", ["u1"], Action(do="seen")),
            lambda: opened.settle("INBOX", ["u1"], Action(do="move", folder="Done")),
        ):
            with pytest.raises(PermanentError, match="POP3"):
                use()
        assert opened.problems(["INBOX"], Action(do="delete")) == []
        folder, action = opened.problems(["INBOX", "Archive"], Action(do="move", folder="Done"))
    assert "'Archive'" in folder
    assert "'move Done'" in action
    assert not script.deleted


def test_headers_leave_out_what_can_not_be_had(stage: Stage) -> None:
    script = stage.play([MAIL, MAIL], replies={"TOP 1 0": b"-ERR no\r\n"})
    with session(script) as opened:
        assert list(opened.headers("INBOX", ["u1", "u2", "gone"])) == [("u2", b"Subject: Booking 1\r\n")]


def test_closing_frees_the_mailbox_and_deletes_nothing(stage: Stage) -> None:
    script = stage.play([MAIL], replies={"QUIT": b""})
    with closing(transport(script.port).open()):
        pass
    assert script.heard[-1] == "QUIT"
    assert not script.deleted


# --- abort ------------------------------------------------------------------------------------------------------------


class Slow(Script):
    """It says nothing to one command until it is let go."""

    def __init__(self) -> None:
        super().__init__([MAIL])
        self.slow = ""
        self.reached, self.go_on = threading.Event(), threading.Event()

    def reply(self, line: str) -> bytes:
        if line == self.slow:
            self.reached.set()
            assert self.go_on.wait(LONG)
        return super().reply(line)


@pytest.fixture
def slow() -> Iterator[Slow]:
    script = Slow()
    with serving(script):
        yield script


@pytest.mark.parametrize("command", ["UIDL", "DELE 1", "QUIT"])
def test_abort_ends_whatever_the_server_keeps_waiting(slow: Slow, command: str) -> None:
    with session(slow) as opened, ThreadPoolExecutor(1) as pool:
        slow.slow = command
        waiting = pool.submit(opened.settle, "INBOX", ["u1"], Action(do="delete"))
        assert slow.reached.wait(LONG)
        opened.abort()
        with pytest.raises(TransientError):
            waiting.result(AT_ONCE)
        slow.slow = ""
        slow.go_on.set()
        with pytest.raises(TransientError):
            opened.settle("INBOX", ["u1"], Action(do="delete"))


def test_a_session_that_is_aborted_while_it_connects_anew_stays_aborted(slow: Slow) -> None:
    with session(slow) as opened, ThreadPoolExecutor(1) as pool:
        opened.settle("INBOX", ["u1"], Action(do="delete"))
        slow.slow = f"PASS {PASSWORD}"
        waiting = pool.submit(next, opened.listing("INBOX", None))
        assert slow.reached.wait(LONG)
        opened.abort()
        slow.go_on.set()
        with pytest.raises(TransientError, match="aborted"):
            waiting.result(AT_ONCE)
