"""IMAP, POP3 and SMTP: what servers say to an access token, and what becomes of it."""

from __future__ import annotations

from base64 import b64encode
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from gatewayd import HIDDEN, AuthError, GatewaydError, Heard, Secret, TransientError, token_message
from gatewayd.testing.contracts.watch import hear
from gatewayd_imap.options import ImapOptions
from gatewayd_imap.transport import ImapSession
from gatewayd_pop3.options import Pop3Options
from gatewayd_smtp.forwarder import SmtpCourier
from gatewayd_smtp.options import SmtpOptions
from tests.plugins.scripted import serving
from tests.plugins.smtp_site import parcel
from tests.plugins.tokens import ADVICE, MECHANISMS, PROTOCOLS, Door, Protocol, authority, open_account

if TYPE_CHECKING:
    from tests.plugins.tokens import Authority

REASON = b'{"status":"401","schemes":"bearer","scope":"https://mail.google.com/"}'
USER = "sales@acme.example"


def visit(door: Door, given: Authority, **fields: object) -> None:
    open_account(door.protocol, door.port, given.source, **fields).close()


def refused(door: Door, given: Authority) -> AuthError:
    with serving(door), pytest.raises(AuthError) as caught:
        visit(door, given)
    return caught.value


# --- the log-in -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_token_is_sent_when_it_is_asked_for(protocol: Protocol, mechanism: str) -> None:
    given = authority()
    with serving(Door(protocol, mechanism)) as door:
        visit(door, given)
    options = ImapOptions.model_validate({"host": "localhost", "port": door.port, "username": USER, "credential": given.source})
    expected, _ = token_message(mechanism, options, USER, given.given[0])  # type: ignore[arg-type]  # it is one of them
    assert door.messages == [expected]
    # No command has it: some servers take no line as long, and a command may be logged.
    assert max(map(len, door.commands)) < 100
    assert (door.connections, len(given.given)) == (1, 1)


@pytest.mark.parametrize("closes", [False, True])
@pytest.mark.parametrize("reason", [b"", b64encode(REASON)])
@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_refused_token_is_asked_for_once_more(protocol: Protocol, mechanism: str, reason: bytes, closes: bool) -> None:  # noqa: FBT001  a table
    given = authority()
    with serving(Door(protocol, mechanism, refuses=1, reason=reason, closes=closes)) as door:
        visit(door, given)
        visit(door, given)
    first, second, third = door.messages
    assert given.given[0].encode() in first
    assert given.given[1].encode() in second
    assert second == third
    assert len(given.given) == 2
    # What RFC 7628 section 3.2.3 and Google ask for; without it the refusal itself does not come.
    assert door.answers == ([b"" if mechanism == "XOAUTH2" else b"\x01"] if reason else [])


@pytest.mark.parametrize("reason", [b"", b64encode(REASON), b"no base64"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_second_refusal_is_told_with_the_servers_words_and_the_credentials_advice(protocol: Protocol, reason: bytes) -> None:
    given = authority()
    door = Door(protocol, refuses=9, reason=reason)
    error = refused(door, given)
    assert f"log-in as {USER!r} with an access token was refused: the server answered '" in error.message
    words = {"IMAP": "AUTHENTICATE failed.", "POP3": "-ERR Authentication failure", "SMTP": "535 5.7.3 Authentication unsuccessful"}
    assert words[protocol] in error.message
    assert ('"scope":"https://mail.google.com/"' in error.message) == reason.startswith(b"ey")
    assert ("no base64" in error.message) == (reason == b"no base64")
    assert error.advice == ADVICE.format(protocol)
    assert len(given.given) == door.connections == 2


LATER = {"IMAP": b"TAG NO [UNAVAILABLE] later\r\n", "POP3": b"-ERR [SYS/TEMP] later\r\n", "SMTP": b"454 4.7.0 later\r\n"}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_server_that_is_away_costs_no_token(protocol: Protocol) -> None:
    given = authority()
    with serving(Door(protocol, refuses=1, no=LATER[protocol])) as door, pytest.raises(TransientError, match="later"):
        visit(door, given)
    assert len(given.given) == door.connections == 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_server_that_takes_no_token_is_told(protocol: Protocol) -> None:
    given = authority()
    door = Door(protocol, "CRAM-MD5")
    error = refused(door, given)
    assert "takes no access token on this connection: it offers neither OAUTHBEARER nor XOAUTH2" in error.message
    assert "`password` in place of `credential`" in error.advice
    assert door.messages == []


def test_a_mailbox_that_may_not_send_by_SMTP_has_its_own_advice_and_costs_no_token() -> None:
    given = authority()
    words = b"535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.\r\n"
    error = refused(Door("SMTP", refuses=9, no=words), given)
    assert "5.7.139" in error.message
    assert f"Set-CASMailbox -Identity {USER} -SmtpClientAuthenticationDisabled $false" in error.advice
    assert len(given.given) == 1


def test_a_server_that_wants_a_log_in_all_the_same_has_the_credentials_advice() -> None:
    words = b"530 5.7.57 Client not authenticated to send mail.\r\n"
    with serving(Door("SMTP", replies={b"MAIL": words})) as door:
        courier = open_account("SMTP", door.port, authority().source)
        assert isinstance(courier, SmtpCourier)
        with closing(courier), pytest.raises(AuthError, match=r"530 5\.7\.57") as caught:
            list(courier.deliver([parcel()]))
    assert caught.value.advice == ADVICE.format("SMTP")


def test_a_challenge_is_no_permission() -> None:
    """A reply that begins with + is not +OK."""
    given = authority()
    door = Door("POP3", refuses=9, reason=b64encode(REASON), no=b"+ " + b64encode(REASON) + b"\r\n")
    assert "was refused" in refused(door, given).message


# --- redaction --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["refusal", "reason", "encoded reason"])
@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_P9_a_server_that_repeats_the_token_is_not_quoted(protocol: Protocol, mechanism: str, where: str) -> None:
    given = authority()
    one = given.source.token(USER)
    given.new = lambda: one  # type: ignore[method-assign]  # so that it is known here
    sent = b64encode(f"user={USER}\x01auth=Bearer {one}\x01\x01".encode())
    for echo in (one.encode(), sent):
        door = Door(protocol, mechanism, refuses=9, reason=b64encode(REASON))
        if where == "refusal":
            door.no = {"IMAP": b"TAG NO %b\r\n", "POP3": b"-ERR %b\r\n", "SMTP": b"535 %b\r\n"}[protocol] % echo
        else:
            door.reason = b64encode(echo) if where == "encoded reason" else echo
        error = refused(door, given)
        assert HIDDEN in error.message
        told = f"{error!r} {error.advice} {error.__cause__!r} {error.__context__!r}"
        assert not any(echo.decode()[at : at + 40] in told for at in range(0, len(echo) - 40, 20))


# --- sessions ---------------------------------------------------------------------------------------------------------


NOT_CONNECTED = {b"EXAMINE": b"TAG BAD User is authenticated but not connected.\r\n"}


def test_a_token_without_a_right_to_the_mailbox_is_told_and_tried_again_later() -> None:
    given = authority()
    with serving(Door("IMAP", replies=NOT_CONNECTED)) as door:
        session = open_account("IMAP", door.port, given.source)
        assert isinstance(session, ImapSession)
        with closing(session), pytest.raises(TransientError, match="authenticated but not connected") as caught:
            next(session.listing("INBOX", None))
    assert caught.value.advice.endswith(ADVICE.format("IMAP"))
    assert len(given.given) == 1


EXPIRED = b"* BYE Session invalidated - AccessTokenExpired\r\n"


def test_a_token_that_ends_in_mid_session_is_an_error_that_passes() -> None:
    given = authority()
    with serving(Door("IMAP", replies={b"UID SEARCH": EXPIRED})) as door:
        session = open_account("IMAP", door.port, given.source)
        assert isinstance(session, ImapSession)
        with closing(session), pytest.raises(TransientError, match="AccessTokenExpired"):
            next(session.listing("INBOX", None))


def waited(session: ImapSession) -> Heard:
    watch = session.watch("INBOX")
    assert watch is not None
    return hear(watch)


def test_a_token_that_ends_within_IDLE_is_heard_as_the_end_of_the_watch() -> None:
    given = authority()
    with serving(Door("IMAP", replies={b"IDLE": b"+ idling\r\n" + EXPIRED})) as door:
        session = open_account("IMAP", door.port, given.source)
        assert isinstance(session, ImapSession)
        with closing(session), pytest.raises(TransientError, match="AccessTokenExpired"):
            waited(session)


# --- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [ImapOptions, Pop3Options, SmtpOptions])
@pytest.mark.parametrize(
    "fields",
    [
        {"username": USER, "password": Secret("env", "X"), "credential": authority().source},
        {"password": Secret("env", "X")},
        {"credential": authority().source},
        {"username": USER},
    ],
)
def test_a_log_in_is_by_one_name_and_one_proof(options: type[SmtpOptions], fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        options.model_validate({"host": "mail.example.com", **fields})


def test_errors_of_the_credential_come_before_any_connection() -> None:
    def fails() -> str:
        raise AuthError("the app's secret is wrong", advice="Make a new one.")

    given = authority()
    given._make = fails
    with serving(Door("IMAP")) as door, pytest.raises(GatewaydError, match="the app's secret is wrong"):
        visit(door, given)
    assert door.connections == 0
