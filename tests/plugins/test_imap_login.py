"""How IMAP servers greet and refuse, played by a small scripted server over a real socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd import AuthError, GatewaydError, TransientError
from tests.plugins.imap_script import PASSWORD, Script, transport
from tests.plugins.scripted import serving

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"NO [UNAVAILABLE] the database is down", TransientError),
        (b"NO [INUSE] elsewhere", TransientError),
        (b"NO [LIMIT] too many", TransientError),
        (b"NO [SERVERBUG] oops", TransientError),
        (b"NO [ALERT] Too many simultaneous connections. (Failure)", TransientError),
        (b"NO User is authenticated but not connected.", TransientError),
        (b"NO Server Unavailable. 15", TransientError),
        (b"BAD Internal Server Error", TransientError),
        (b"NO The server is busy, please try again later", TransientError),
        (b"NO Invalid credentials, try again later", AuthError),
        (b"NO Too many failed attempts, try again later", AuthError),
        (b"NO [AUTHENTICATIONFAILED] Server unavailable", AuthError),
        (b"NO [AUTHENTICATIONFAILED] no", AuthError),
        (b"NO [EXPIRED] a new password is needed", AuthError),
        (b"NO no", AuthError),
        (b"BAD what?", AuthError),
    ],
)
@pytest.mark.parametrize("password", ["ascii", "schön"])
def test_the_response_code_says_whose_matter_a_refused_log_in_is(
    tmp_path: Path, answer: bytes, expected: type[GatewaydError], password: str
) -> None:
    refusal = b"TAG " + answer + b"\r\n"
    with serving(Script({"LOGIN": refusal, "AUTHENTICATE": refusal})) as script, pytest.raises(expected, match="log-in as 'anna'"):
        transport(script, tmp_path, password).open()


def test_a_server_that_takes_us_for_logged_in_already_is_told_as_that(tmp_path: Path) -> None:
    with serving(Script(greeting=b"* PREAUTH welcome\r\n")) as script, pytest.raises(AuthError, match="PREAUTH") as caught:
        transport(script, tmp_path).open()
    assert "the server answered" not in caught.value.message
    assert not script.asked(PASSWORD)


def test_a_goodbye_at_log_in_is_transient(tmp_path: Path) -> None:
    script = Script({"LOGIN": b"* BYE too busy\r\nTAG HANG UP\r\n"})
    with serving(script), pytest.raises(TransientError, match="too busy"):
        transport(script, tmp_path).open()


@pytest.mark.parametrize(
    "greeting",
    [
        b"* BYE too busy\r\n",
        b"+OK this is POP3\r\n",
        b"220 this is SMTP\r\n",
        b"* \xff\xff\r\n",
        b"\r\n",
        b"",
        b"* OK ready" * 10,
    ],
)
def test_a_greeting_that_is_none_is_transient(tmp_path: Path, greeting: bytes) -> None:
    with serving(Script({"CAPABILITY": b"TAG HANG UP\r\n"}, greeting=greeting)) as script, pytest.raises(TransientError):
        transport(script, tmp_path, timeout="1s").open()


@pytest.mark.parametrize("answer", [b"* CAPABILITY \xff\r\n", b"* CAPABILITY {2}\r\nab\r\n", b"* CAPABILITY IMAP3\r\n", b""])
def test_capabilities_that_are_none_are_transient(tmp_path: Path, answer: bytes) -> None:
    with serving(Script({"CAPABILITY": answer})) as script, pytest.raises(TransientError):
        transport(script, tmp_path).open()


@pytest.mark.parametrize("password", ["geheim\r\nA1 DELETE INBOX", "schön", '"quoted\\"', "new\nline"])
def test_no_password_can_smuggle_a_command_in(tmp_path: Path, password: str) -> None:
    with serving(script := Script()):
        transport(script, tmp_path, password).open().close()
    assert [command.split()[0] for command in script.heard if " " in command and not command.startswith("LOGIN")] in (
        [],
        ["AUTHENTICATE"],
    )
    assert script.asked("DELETE") == []


def test_a_nul_in_a_password_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    with serving(script := Script()), pytest.raises(AuthError, match="NUL"):
        transport(script, tmp_path, "a\0b").open()
    assert script.asked("LOGIN|AUTHENTICATE") == []


def test_P9_a_server_that_takes_no_password_in_plain_text_gets_none(tmp_path: Path) -> None:
    script = Script({"CAPABILITY": b"* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\n"})
    with serving(script), pytest.raises(AuthError, match="takes no password"):
        transport(script, tmp_path).open()
    assert script.asked("LOGIN|AUTHENTICATE") == []


def test_where_login_is_disabled_plain_is_used_if_it_is_offered(tmp_path: Path) -> None:
    with serving(script := Script({"CAPABILITY": b"* CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=PLAIN\r\n"})):
        transport(script, tmp_path).open().close()
    assert script.asked("LOGIN|AUTHENTICATE") == ["AUTHENTICATE PLAIN"]


@pytest.mark.parametrize("greeting", [f"* BYE {PASSWORD}\r\n", f"{PASSWORD}\r\n", f"* OK {PASSWORD}\r\n"])
def test_P9_a_server_that_greets_with_the_password_is_not_quoted(tmp_path: Path, greeting: str) -> None:
    script = Script({"CAPABILITY": f"* BYE {PASSWORD}\r\nTAG HANG UP\r\n".encode()}, greeting=greeting.encode())
    with serving(script), pytest.raises(TransientError) as caught:
        transport(script, tmp_path, timeout="5s").open()
    assert PASSWORD not in f"{caught.value}{caught.value.advice}{caught.value.__cause__!r}"


def test_P9_a_server_that_echoes_the_password_is_not_quoted(tmp_path: Path) -> None:
    script = Script({"LOGIN": f"TAG NO [UNAVAILABLE] not with {PASSWORD}\r\n".encode()})
    with serving(script), pytest.raises(TransientError) as caught:
        transport(script, tmp_path).open()
    assert PASSWORD not in f"{caught.value}{caught.value.advice}{caught.value.__cause__!r}"


@pytest.mark.parametrize("greeting", [b"* OK ready\r\n", b"* PREAUTH ready\r\n"])
def test_P9_no_password_is_sent_where_starttls_is_withheld(tmp_path: Path, greeting: bytes) -> None:
    with serving(script := Script(greeting=greeting)), pytest.raises(AuthError, match="does not offer STARTTLS") as caught:
        transport(script, tmp_path, security="starttls").open()
    assert "security: tls" in caught.value.advice
    assert script.asked("LOGIN|AUTHENTICATE") == []


def test_starttls_that_is_refused_is_transient(tmp_path: Path) -> None:
    replies = {"CAPABILITY": b"* CAPABILITY IMAP4rev1 STARTTLS\r\n", "STARTTLS": b"TAG BAD not now\r\n"}
    with serving(script := Script(replies)), pytest.raises(TransientError, match="STARTTLS was refused"):
        transport(script, tmp_path, security="starttls").open()
    assert script.asked("LOGIN|AUTHENTICATE") == []
