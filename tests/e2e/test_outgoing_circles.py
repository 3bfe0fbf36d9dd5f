"""Mail that goes out never goes round (P7): two gateways, a rule to one's own account, robots, replies that come back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.servers.smtp import SmtpServer
from tests.e2e.house import until
from tests.e2e.sending import Sending, message_id, post_office, quiet, received

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot
    from gatewayd.testing.servers.smtp import ReceivedMessage, Step

MAIL = b"From: anna@example.com\r\nTo: own@acme.example\r\nSubject: Group 756\r\nMessage-ID: <one@example.com>\r\n\r\nHello.\r\n"
#: What a rule forwards by itself is mail of a program: others don't forward it on unless they ask for such mail.
ROBOTS_TOO = "forward: [{when: {automatic: true}, to: duty}]\n"
#: How long it must stay quiet, in seconds: both accounts are watched, and looked at each second.
QUIET = 2.0


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    with SmtpServer() as server:
        yield server


@pytest.mark.parametrize("mode", ["attached", "inline"])
def test_P7_two_gateways_that_forward_to_each_other_stop_after_one_round(
    tmp_path: Path, dovecot: Dovecot, smtp: SmtpServer, mode: str
) -> None:
    def target(address: str) -> str:
        return f"{{kind: smtp, account: out, to: [{address}], mode: {mode}}}"

    one = Sending(tmp_path / "one", dovecot, smtp.port, target=target("two@acme.example"), rules=ROBOTS_TOO, name="one")
    two = Sending(tmp_path / "two", dovecot, smtp.port, target=target("one@acme.example"), rules=ROBOTS_TOO, name="two")
    post_office(smtp, dovecot, {"one@acme.example": one.user, "two@acme.example": two.user})
    one.begin()
    two.begin()
    with one.house.daemon(ready=False), two.house.daemon():
        one.come(MAIL)
        until("the first gateway has withheld it", 20, lambda: one.states()["withheld"])
        quiet(lambda: len(smtp.messages), 2, QUIET)
    assert [one.recipients for one in smtp.messages] == [("two@acme.example",), ("one@acme.example",)]
    assert one.states() == {"delivered": 1, "withheld": 1}
    assert two.states() == {"delivered": 1}
    assert "we have forwarded it before" in one.deliveries()[0]["words"]


def test_P7_what_another_gateway_forwarded_is_not_forwarded_unless_asked_for(
    tmp_path: Path, dovecot: Dovecot, smtp: SmtpServer
) -> None:
    one = Sending(tmp_path / "one", dovecot, smtp.port, duty="two@acme.example", name="one")
    two = Sending(tmp_path / "two", dovecot, smtp.port, duty="one@acme.example", name="two")
    post_office(smtp, dovecot, {"one@acme.example": one.user, "two@acme.example": two.user})
    one.begin()
    two.begin()
    with one.house.daemon(ready=False), two.house.daemon():
        one.come(MAIL)
        until("the second gateway has filed it", 20, lambda: two.house.filed().total() == 1)
        quiet(lambda: len(smtp.messages), 1, QUIET)
    assert one.states() == {"delivered": 1}
    assert two.deliveries() == [], "the rule does not fit it"


def test_P7_a_rule_that_forwards_to_its_own_account_stops_after_one_round(
    tmp_path: Path, dovecot: Dovecot, smtp: SmtpServer
) -> None:
    own = Sending(tmp_path / "own", dovecot, smtp.port, duty="own@acme.example", rules=ROBOTS_TOO)
    post_office(smtp, dovecot, {"own@acme.example": own.user})
    own.begin()
    with own.house.daemon():
        own.come(MAIL)
        until("it came back and is withheld", 20, lambda: own.states()["withheld"])
        quiet(lambda: len(smtp.messages), 1, QUIET)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param("Auto-Submitted: auto-replied\r\n", id="polite"),
        pytest.param("In-Reply-To: {id}\r\n", id="without a word"),
    ],
)
def test_P7_an_out_of_office_robot_at_the_target_causes_no_second_mail(
    tmp_path: Path, dovecot: Dovecot, smtp: SmtpServer, headers: str
) -> None:
    own = Sending(tmp_path / "own", dovecot, smtp.port)

    def robot(step: Step, _argument: str) -> str | None:
        if step == "taken":
            said = headers.format(id=message_id(smtp.messages[-1].data))
            own.come(
                f"Return-Path: <>\r\nFrom: duty@target.example\r\nTo: own@acme.example\r\nSubject: I am away\r\n"
                f"Message-ID: <away@target.example>\r\n{said}\r\nBack on Monday.\r\n".encode()
            )
        return None

    smtp.answer = robot
    own.begin()
    with own.house.daemon():
        own.come(MAIL)
        until("the robot's answer is filed, and withheld", 20, lambda: own.states()["withheld"])
        quiet(lambda: len(smtp.messages), 1, QUIET)
    assert own.house.filed()["<away@target.example>"] == 1


def test_P7_what_was_there_before_is_not_forwarded(tmp_path: Path, dovecot: Dovecot, smtp: SmtpServer) -> None:
    """10,000 old mails in `./gw campaign`; a rule that fits all of them fires for the new one alone."""
    old_mail_stays(tmp_path, dovecot, smtp, 300)


@pytest.mark.campaign
def test_P7_ten_thousand_old_mails_are_not_forwarded(tmp_path: Path, dovecot: Dovecot, smtp: SmtpServer) -> None:
    old_mail_stays(tmp_path, dovecot, smtp, 10_000)


def old_mail_stays(folder: Path, dovecot: Dovecot, smtp: SmtpServer, number: int) -> None:
    own = Sending(folder / "own", dovecot, smtp.port)
    own.bring(number, seed=1)
    with own.house.daemon():
        until("the old mail is filed", 30 + number / 100, lambda: own.house.filed().total() == number)
        own.come(MAIL)
        until("the new mail is delivered", 20, lambda: own.states()["delivered"])
    own.house.good("import", "inbox", "--from-beginning")
    own.house.good("queue", "retry", "--operator", "acme")
    own.house.good("outbox", "deliver")
    assert own.states() == {"delivered": 1}
    assert len(smtp.messages) == 1


def test_P7_a_reply_comes_back_and_is_matched_by_its_thread(tmp_path: Path, dovecot: Dovecot, smtp: SmtpServer) -> None:
    rule = "forward: [{when: {linked: reservation, from: colleague@example.com}, to: duty}]\n"
    own = Sending(tmp_path / "own", dovecot, smtp.port, rules=rule)
    own.begin()
    own.come(MAIL)
    own.house.good("import", "inbox")
    (asked,) = own.house.good("mail", "list", "--operator", "acme", "--json").rows
    text = own.house.write("answer.txt", "Dear Anna,\n\nit is booked.\n")
    own.house.good("mail", "reply", asked["id"], "--operator", "acme", "--text", text)
    own.house.good("outbox", "deliver")
    (sent,) = smtp.messages
    assert sent.recipients == ("anna@example.com",)
    answer = (
        b"From: colleague@example.com\r\nTo: own@acme.example\r\nSubject: Thanks\r\nMessage-ID: <%b@example.com>\r\n"
        b"In-Reply-To: %b\r\n\r\nThank you!\r\n"
    )
    ours = message_id(sent.data)
    own.come(answer % (b"good", ours.encode()), answer % (b"forged", ours.replace(".", ".x", 1).encode()))
    own.house.good("import", "inbox")
    found = {one["message_id"]: one for one in own.house.good("mail", "list", "--operator", "acme", "--json").rows}
    links = {
        name: [(link["kind"], link["id"], link["by"]) for link in found[f"<{name}@example.com>"]["links"]]
        for name in ("good", "forged")
    }
    assert links == {"good": [("reservation", "R1", "threads")], "forged": []}
    assert [one["mail_id"] for one in own.deliveries() if one["cause"] == "rule 1"] == [found["<good@example.com>"]["id"]]
    fires = {
        name: [
            one["fires"] for one in own.house.good("explain", found[f"<{name}@example.com>"]["id"], "--json").rows if "rule" in one
        ]
        for name in links
    }
    assert fires == {"good": [True], "forged": [False]}, "what it inherits counts"
    reply = found[ours]
    assert (reply["direction"], reply["unread"], reply["from"]) == ("out", False, "own@acme.example")
    assert [(link["kind"], link["id"]) for link in reply["links"]] == [("reservation", "R1")]


def test_P7_a_hard_bounce_is_tied_to_its_delivery_and_suspends_the_target(
    tmp_path: Path, dovecot: Dovecot, smtp: SmtpServer
) -> None:
    own = Sending(tmp_path / "own", dovecot, smtp.port)
    own.begin()
    with own.house.daemon():
        own.come(MAIL)
        until("it is delivered", 20, lambda: own.states()["delivered"])
        own.come(_bounce(received(smtp.messages[0])))
        until("the bounce is known", 20, lambda: own.states()["bounced"])
        own.come(MAIL.replace(b"<one@", b"<two@"))
        until("the next one waits", 20, lambda: own.states()["waiting"])
        quiet(lambda: len(smtp.messages), 1, QUIET)
        said = own.house.run("status").out
        assert "duty" in said
        assert "No such user" in said
        (row,) = own.house.good("outbox", "list", "--operator", "acme", "--state", "bounced", "--json").rows
        assert "No such user" in str(row)
        own.house.good("outbox", "resume", "duty", "--operator", "acme")
        until("the next one is delivered", 20, lambda: own.states()["delivered"])


def _bounce(returned: bytes) -> bytes:
    head = returned.partition(b"\r\n\r\n")[0]
    return (
        b"Return-Path: <>\r\nFrom: MAILER-DAEMON@target.example\r\nTo: own@acme.example\r\nSubject: Undelivered Mail\r\n"
        b"Message-ID: <bounce@target.example>\r\nMIME-Version: 1.0\r\nAuto-Submitted: auto-replied\r\n"
        b'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        b"--b\r\nContent-Type: text/plain\r\n\r\nIt could not be delivered.\r\n"
        b"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; target.example\r\n\r\n"
        b"Final-Recipient: rfc822; duty@target.example\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        b"Diagnostic-Code: smtp; 550 5.1.1 No such user\r\n\r\n"
        b"--b\r\nContent-Type: text/rfc822-headers\r\n\r\n" + head + b"\r\n\r\n--b--\r\n"
    )


def _letter(sent: ReceivedMessage, number: int) -> bytes:
    return _answer(
        number, "postmaster@target.example", "failure notice", "<duty@target.example>: no such user", "<MAILER-DAEMON>"
    ) + (b"\r\n--- Below this line is a copy of the message.\r\n\r\n" + received(sent))


def _answer(number: int, sender: str, subject: str, text: str, path: str = "") -> bytes:
    head = f"Return-Path: {path}\r\n" if path else ""
    head += f"From: {sender}\r\nTo: own@acme.example\r\nSubject: {subject}\r\nMessage-ID: <answer{number}@target.example>\r\n"
    return f"{head}\r\n{text}\r\n".encode()


#: What answers each forward, and how many mails it may get out of one at most; more such in ``tests/unit/outgoing/test_answered_forwards.py``.
ANSWERS = {
    "a letter with the null sender": (1, _letter),
    "a letter that returns nothing": (
        1,
        lambda _, number: _answer(number, "postmaster@target.example", "Undeliverable: Rome", "No such user here."),
    ),
    "a robot": (4, lambda _, number: _answer(number, "desk@robot.example", f"Ticket {number}", "We got your mail.")),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_P7_a_target_that_answers_each_forward_is_not_answered_for_ever(
    tmp_path: Path, dovecot: Dovecot, smtp: SmtpServer, name: str
) -> None:
    most, answer = ANSWERS[name]
    limits = "limits: {backoff: 1s, auth_pause: 1s, forwards_per_sender: 3}\n"
    own = Sending(tmp_path / "own", dovecot, smtp.port, rules=ROBOTS_TOO, limits=limits)

    def robot(step: Step, _argument: str) -> str | None:
        if step == "taken":
            own.come(answer(smtp.messages[-1], len(smtp.messages)))
        return None

    smtp.answer = robot
    own.begin()
    with own.house.daemon():
        own.come(MAIL)
        until("something is withheld", 60, lambda: own.states()["withheld"])
        quiet(lambda: len(smtp.messages), len(smtp.messages), QUIET)
        assert len(smtp.messages) <= most
        assert own.states()["waiting"] == 0
        if most == ANSWERS["a robot"][0]:
            until("status says so", 20, lambda: "forwards_per_sender" in own.house.run("status").out)
