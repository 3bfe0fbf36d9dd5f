"""What personal mail causes comes back by a mailbox that others read, and only its owner sees it (P6): each way back, end to end."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import pytest

from gatewayd.message.message_ids import reference
from gatewayd.testing.servers.smtp import SmtpServer
from tests.e2e.house import House
from tests.e2e.sending import message_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gatewayd.testing.servers import Dovecot
    from gatewayd.testing.servers.smtp import ReceivedMessage, Step

#: What nobody else may read.
SECRET = "The surprise party is on Friday."
#: What the relay calls each mail, as Amazon SES does.
SERVER_ID = "0102018f3c2a4b5c-1d2e3f40-5a6b-7c8d-9e0f-a1b2c3d4e{number:03}-000000"
ASKED = (
    b"From: Anna <anna@nord.example>\r\nTo: irina@acme.example\r\nSubject: Party\r\nMessage-ID: <asked@nord.example>\r\n\r\n"
    b"When is it?\r\n"
)


class Sent(NamedTuple):
    """A mail that went out."""

    raw: bytes
    #: Its Message-ID, and what the relay calls it.
    id: str
    server_id: str

    @property
    def head(self) -> str:
        """Its header."""
        return self.raw.partition(b"\r\n\r\n")[0].decode()


def mail(head: str, body: str = SECRET) -> str:
    return f"To: shared@acme.example\r\nDate: Mon, 02 Nov 2026 10:00:00 +0100\r\n{head}\r\n\r\n{body}\r\n"


def parts(kind: str, *inside: tuple[str, str], sender: str = "MAILER-DAEMON@mx.nord.example") -> str:
    body = "".join(f"--b\r\nContent-Type: {type_}\r\n\r\n{content}\r\n" for type_, content in inside)
    return mail(f"From: {sender}\r\nSubject: Party\r\nMIME-Version: 1.0\r\nContent-Type: {kind}; boundary=b", f"{body}--b--")


def report(action: str, sent: Sent, returned: str = "", head: str = "") -> str:
    status = f"Reporting-MTA: dns; mx\r\n{head}\r\nFinal-Recipient: rfc822; anna@nord.example\r\nAction: {action}\r\nStatus: 4.4.1"
    inside = [("text/plain", f"About {SECRET}"), ("message/delivery-status", status)]
    del sent
    return parts("multipart/report; report-type=delivery-status", *inside, *([("message/rfc822", returned)] if returned else []))


def whole(sent: Sent) -> str:
    return sent.raw.decode()


def renamed(sent: Sent) -> str:
    return (
        sent.head.replace(f"Message-ID: {sent.id}", f"Message-ID: <{sent.server_id}@eu-west-1.amazonses.com>") + "\r\n\r\n" + SECRET
    )


#: Each way back of a mail of ours.
WAYS: Mapping[str, Callable[[Sent], str]] = {
    "answer": lambda sent: mail(f"From: anna@nord.example\r\nSubject: Re: Party\r\nIn-Reply-To: {sent.id}"),
    "answer by references": lambda sent: mail(
        f"From: anna@nord.example\r\nSubject: Re: Party\r\nReferences: <0@x> {sent.id} <2@x>"
    ),
    "answer of a third person": lambda sent: mail(f"From: otto@west.example\r\nSubject: Party\r\nReferences: {sent.id} <7@x>"),
    "answer to the second name": lambda sent: mail(
        f"From: anna@nord.example\r\nSubject: Re: Party\r\nReferences: {reference(sent.id)}\r\nIn-Reply-To: <new@relay.example>"
    ),
    "answer to the server's name": lambda sent: mail(
        f"From: anna@nord.example\r\nSubject: Re: Party\r\nIn-Reply-To: <{sent.server_id}@eu-west-1.amazonses.com>"
    ),
    "report": lambda sent: report("failed", sent, whole(sent)),
    "report of a header": lambda sent: report("failed", sent, sent.head),
    "report by envelope": lambda sent: report("failed", sent, head=f"Original-Envelope-Id: {sent.id}\r\n"),
    "report of a renamed mail": lambda sent: report("failed", sent, renamed(sent)),
    "delay": lambda sent: report("delayed", sent, whole(sent)),
    "success": lambda sent: report("relayed", sent, sent.head),
    "letter": lambda sent: mail(
        "Return-Path: <>\r\nFrom: postmaster@mx.nord.example\r\nSubject: failure notice",
        f"<anna@nord.example>: no such user\r\n\r\n--- Below this line is a copy of the message.\r\n\r\n{whole(sent)}",
    ),
    "out of office": lambda sent: mail(
        f"From: anna@nord.example\r\nSubject: Automatic reply: Party\r\nAuto-Submitted: auto-replied\r\nIn-Reply-To: {sent.id}"
    ),
    "read receipt": lambda sent: parts(
        "multipart/report; report-type=disposition-notification",
        ("text/plain", f"It was read: {SECRET}"),
        ("message/disposition-notification", f"Final-Recipient: rfc822; anna@nord.example\r\nOriginal-Message-ID: {sent.id}"),
        sender="anna@nord.example",
    ),
    "complaint": lambda sent: parts(
        "multipart/report; report-type=feedback-report",
        ("text/plain", "A complaint."),
        ("message/feedback-report", "Feedback-Type: abuse\r\nUser-Agent: x/1"),
        ("message/rfc822", whole(sent)),
        sender="fbl@nord.example",
    ),
    "copy": lambda sent: f"Received: from x by y; Mon, 02 Nov 2026 10:00:00 +0100\r\n{whole(sent)}",
    "sent on within a mail": lambda sent: parts(
        "multipart/mixed", ("text/plain", "Please see to it."), ("message/rfc822", whole(sent)), sender="otto@west.example"
    ),
}


class Back(NamedTuple):
    """A house into whose shared mailbox everything came back."""

    house: House
    #: Ids of what came back, by Message-ID, of the database: whoever may see it.
    ids: Mapping[str, int]


def set_up(house: House, dovecot: Dovecot, smtp: SmtpServer) -> tuple[str, str]:
    """Write a config of two operators that share a mailbox, and a user of one; return the users of both mailboxes."""
    hers, shared = f"{house.state.parent.name}-irina", f"{house.state.parent.name}-shared"
    for user in (hers, shared):
        dovecot.user(user, "pass")
    port = dovecot.ports["imap"]
    rules = (
        "targets:\n  duty: {kind: smtp, account: out, to: [duty@acme.example]}\n"
        "  hers: {kind: smtp, account: out, to: [mobile@nord.example]}\n"
        "forward:\n  - {when: {account: shared, automatic: true}, to: duty}\n  - {when: {account: irina}, to: hers}\n"
        "users:\n  irina: {name: Irina, email: irina@acme.example}\n"
    )
    house.operator("acme", matchers="[contacts, threads]", more=rules)
    house.operator("globetrot", matchers="[contacts, threads]")
    house.operator("third", matchers="[contacts, threads]")
    house.account("irina", "imap", port, hers, more="user: acme/irina\n")
    house.account("shared", "imap", port, shared, more="operators: [acme, globetrot]\n")
    house.write(
        "accounts/out.yaml",
        f"kind: smtp\noperators: [acme]\nhost: localhost\nport: {smtp.port}\nsecurity: none\ninsecure: true\n"
        "send: {system: true, from: {name: Acme, address: shared@acme.example}}\n",
    )
    return hers, shared


def serving(smtp: SmtpServer) -> None:
    def taken(step: Step, _argument: str) -> str | None:
        return f"250 Ok {SERVER_ID.format(number=len(smtp.messages))}" if step == "taken" else None

    smtp.answer = taken


def sent_by(smtp: SmtpServer, recipient: str) -> Sent:
    number, found = next((number, one) for number, one in enumerate(smtp.messages, 1) if one.recipients == (recipient,))
    return _sent(found, number)


def _sent(message: ReceivedMessage, number: int) -> Sent:
    return Sent(message.data, message_id(message.data), SERVER_ID.format(number=number))


@pytest.fixture(scope="module")
def back(tmp_path_factory: pytest.TempPathFactory, dovecot: Dovecot) -> Back:
    """Irina answers a mail of hers, and a rule sends it to her mobile; both come back to the shared mailbox in every way."""
    house = House(tmp_path_factory.mktemp("ways"))
    with SmtpServer() as smtp:
        serving(smtp)
        hers, shared = set_up(house, dovecot, smtp)
        house.good("import")
        dovecot.deliver(hers, [ASKED])
        house.good("import", "irina")
        (asked,) = house.good("mail", "list", "--operator", "acme", "--user", "irina", "--json").rows
        text = house.write("answer.txt", f"{SECRET}\n")
        house.good("mail", "reply", asked["id"], "--operator", "acme", "--user", "irina", "--text", text)
        house.good("outbox", "deliver")
        answer, forward = sent_by(smtp, "anna@nord.example"), sent_by(smtp, "mobile@nord.example")
        came = {
            f"{kind} {name}": made(one) for kind, one in (("answer", answer), ("forward", forward)) for name, made in WAYS.items()
        }
        raw = [_named(name, text.encode()) for name, text in came.items()]
        ordinary = mail("From: otto@west.example\r\nSubject: Rome\r\nMessage-ID: <ordinary@x>", "Hello").encode()
        dovecot.deliver(shared, [*raw, ordinary])
        house.good("import", "shared")
        house.good("outbox", "deliver")
        assert {one.recipients for one in smtp.messages[2:]} == {("duty@acme.example",)}
        assert len(smtp.messages) == 3, "of what came to the shared mailbox only the ordinary mail goes on"
    rows = house.read("SELECT id, search, message_id FROM mail WHERE account = 'shared'")
    assert len(rows) == len(came) + 1
    return Back(house, {str(name): int(mail_id) for mail_id, _, name in rows})


def _named(name: str, raw: bytes) -> bytes:
    """Give a mail that has none a Message-ID by which the test knows it; a copy of ours keeps its own."""
    if re.search(rb"(?mi)^Message-ID:", raw.partition(b"\r\n\r\n")[0]):
        return raw
    return f"Message-ID: <{name.replace(' ', '-')}@way.example>\r\n".encode() + raw


@pytest.mark.parametrize("kind", ["answer", "forward"])
@pytest.mark.parametrize("name", [name for name in WAYS if name != "copy"])
def test_P6_what_comes_back_is_the_owners_alone(back: Back, kind: str, name: str) -> None:
    only_hers(back.house, back.ids[f"<{kind}-{name.replace(' ', '-')}@way.example>"])


def test_P6_a_copy_of_ones_own_mail_is_the_owners_alone(back: Back) -> None:
    copies = [mail_id for name, mail_id in back.ids.items() if name.startswith("<gw.")]
    assert len(copies) == 2
    for mail_id in copies:
        only_hers(back.house, mail_id)


def only_hers(house: House, mail_id: int) -> None:
    for other in (["--operator", "globetrot"], ["--operator", "acme"], ["--operator", "third"]):
        done = house.run("mail", "raw", mail_id, *other)
        assert (done.code, SECRET in done.out) == (1, False), other
    assert house.run("mail", "raw", mail_id, "--operator", "acme", "--user", "irina").code == 0


def test_P6_others_see_what_is_theirs_and_no_more(back: Back) -> None:
    for operator in ("acme", "globetrot"):
        (row,) = back.house.good("mail", "list", "--operator", operator, "--json").rows
        assert row["subject"] == "Rome"
    hers = back.house.good("mail", "list", "--operator", "acme", "--user", "irina", "--limit", "100", "--json").rows
    # What she got, what she wrote, what came back, and what all see.
    assert len(hers) == 2 + 2 * len(WAYS) + 1


def test_P6_an_operator_that_comes_later_gets_old_mail_and_nothing_that_came_back(back: Back) -> None:
    path = back.house.folder / "accounts/shared.yaml"
    path.write_text(path.read_text().replace("[acme, globetrot]", "[acme, globetrot, third]"))
    back.house.good("import", "shared", "--from-beginning", "--operator", "third")
    (row,) = back.house.good("mail", "list", "--operator", "third", "--json").rows
    assert row["subject"] == "Rome"
    path.write_text(path.read_text().replace("[acme, globetrot, third]", "[acme, globetrot]"))


def test_a_bounce_of_personal_mail_is_kept_with_its_delivery(back: Back) -> None:
    rows = back.house.good("outbox", "list", "--operator", "acme", "--user", "irina", "--state", "bounced", "--json").rows
    assert {row["to"][0] if "to" in row else row["recipients"][0]["address"] for row in rows} >= {"anna@nord.example"}
    assert "Party" not in back.house.good("outbox", "list", "--operator", "acme", "--json").out


def test_P6_answers_to_general_mail_are_for_the_operator_that_wrote_it(
    tmp_path_factory: pytest.TempPathFactory, dovecot: Dovecot
) -> None:
    house = House(tmp_path_factory.mktemp("general"))
    with SmtpServer() as smtp:
        serving(smtp)
        _, shared = set_up(house, dovecot, smtp)
        house.good("import")
        text = house.write("letter.txt", f"{SECRET}\n")
        house.good("mail", "send", "--operator", "acme", "--to", "anna@nord.example", "--subject", "Party", "--text", text)
        house.good("outbox", "deliver")
        letter = sent_by(smtp, "anna@nord.example")
        dovecot.deliver(shared, [_named(name, made(letter).encode()) for name, made in WAYS.items()])
        house.good("import", "shared")
    assert house.good("mail", "list", "--operator", "globetrot", "--json").rows == []
    assert len(house.good("mail", "list", "--operator", "acme", "--limit", "100", "--json").rows) == 1 + len(WAYS)
