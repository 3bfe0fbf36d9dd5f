"""A message of ours is known wherever it stands in a mail, by its signature or by the id that a server gave it, and no other one is."""

from __future__ import annotations

from base64 import encodebytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd import Mail, Origin
from gatewayd.message.mail import BytesSource, parse
from gatewayd.message.message_ids import Signer, is_reference, reference
from gatewayd.outgoing.provenance import Provenance, provenance, returned, server_ids
from gatewayd.testing.messages import malformed_messages
from tests.unit.linear import cpu_seconds

SIGNER = Signer(b"k" * 32)
OURS = SIGNER.message_id("mail", "acme.example")
OTHER = SIGNER.message_id("forward", "acme.example")
FORGED = Signer(b"x" * 32).message_id("mail", "acme.example")
SES = "0102018f3c2a4b5c-1d2e3f40-5a6b-7c8d-9e0f-a1b2c3d4e5f6-000000"


def mail(head: str, body: str = "Hello\n", *, mail_id: int = 1) -> Mail:
    return parse(BytesSource(f"From: a@b.example\n{head}\n\n{body}".replace("\n", "\r\n").encode()), mail_id=mail_id)


def mixed(kind: str, content: str, *, encoding: str = "7bit", name: str = "") -> Mail:
    named = f'; name="{name}"' if name else ""
    return mail(
        "Content-Type: multipart/mixed; boundary=b",
        f"--b\nContent-Type: text/plain\n\nSee below.\n--b\nContent-Type: {kind}{named}\n"
        f"Content-Disposition: attachment\nContent-Transfer-Encoding: {encoding}\n\n{content}\n--b--\n",
    )


def base64(text: str) -> str:
    return encodebytes(text.encode()).decode()


PLACES = {
    "Message-ID": ("itself", mail(f"Message-ID: {OURS}")),
    "resent": ("itself", mail(f"Message-ID: <1@x>\nResent-Message-ID: {OURS}")),
    "answer": ("answered", mail(f"In-Reply-To: {OURS}")),
    "thread": ("answered", mail(f"References: <1@x> {OURS} <2@x>")),
    "of 600": ("answered", mail(f"References: {OURS} " + " ".join(f"<{number}@x>" for number in range(600)))),
    "sent on by Thunderbird": ("carried", mail(f"X-Forwarded-Message-Id: {OURS}")),
    "a robot of Exchange": ("carried", mail(f"X-MS-Exchange-Parent-Message-Id: {OURS}")),
    "second name": ("answered", mail(f"References: {reference(OURS)}\nIn-Reply-To: <1@amazonses.com>")),
    "answer to a renamed one": ("answered", mail(f"In-Reply-To: <3@x>\nReferences: <1@x> {reference(OURS)} <3@x>")),
    "answer that lacks its reference": ("answered", mail(f"In-Reply-To: <3@x>\nReferences: <1@x> <2@x> {reference(OURS)}")),
    "answer without In-Reply-To": ("answered", mail(f"References: {reference(OURS)} <3@x>")),
    "answer to the first name": ("answered", mail(f"In-Reply-To: {OURS}\nReferences: {reference(OURS)}")),
    "answer of before second names": ("answered", mail(f"References: <1@x> {OURS}")),
    "upper case": ("answered", mail(f"In-Reply-To: {OURS.upper()}")),
    "receipt": ("carried", mixed("message/disposition-notification", f"Final-Recipient: rfc822; a@b\nOriginal-Message-ID: {OURS}")),
    "report": ("carried", mixed("message/delivery-status", f"Original-Envelope-Id: {OURS.strip('<>')}\n\nAction: delayed")),
    "complaint": ("carried", mixed("message/feedback-report", f"Original-Envelope-Id: {OURS}")),
    "returned mail": ("carried", mixed("message/rfc822", f"From: x@y\nMessage-ID: {OURS}\n\nText")),
    "returned header": ("carried", mixed("text/rfc822-headers", f"From: x@y\nMessage-ID:\n {OURS}\n")),
    "part of a mail": ("carried", mixed("message/partial", f"Message-ID: {OURS}\n")),
    "encoded": (
        "carried",
        mixed("application/octet-stream", base64(f"Message-ID: {OURS}\n"), encoding="base64", name="original.eml"),
    ),
    "Outlook's file": (
        "carried",
        mixed(
            "application/octet-stream",
            encodebytes(f"\1Message-ID: {OURS}".encode("utf-16-le")).decode(),
            encoding="base64",
            name="x.msg",
        ),
    ),
    "behind thirty files": (
        "carried",
        mail(
            "Content-Type: multipart/mixed; boundary=b",
            "--b\nContent-Type: text/csv\nContent-Disposition: attachment\n\n1;2\n" * 30
            + f"--b\nContent-Type: message/rfc822\n\nMessage-ID: {OURS}\n\nText\n--b--\n",
        ),
    ),
    "mail within a mail": (
        "carried",
        mixed("message/rfc822", f"Message-ID: <1@x>\nContent-Type: message/rfc822\n\nMessage-ID: {OURS}\n\nText"),
    ),
    "letter": ("mentioned", mail("Subject: x", f"Sorry.\n\n--- Below is a copy.\n\nReturn-Path: <a@b>\nMessage-Id: {OURS}\n")),
    "quoted letter": ("mentioned", mail("Subject: x", f"> Message-ID: {OURS}\n")),
    "html": ("mentioned", mail("Content-Type: text/html", f"<pre>Message-ID: &lt;{OURS.strip('<>')}&gt;</pre>")),
    "broken lines": (
        "mentioned",
        mail("Content-Transfer-Encoding: quoted-printable", f"Message-ID: =3C{OURS[1:30]}=\n{OURS[30:-1]}=3E\n"),
    ),
    "base64": ("mentioned", mail("Content-Transfer-Encoding: base64", base64(f"Message-ID: {OURS}\n"))),
}


@pytest.mark.parametrize("name", PLACES)
def test_P6_a_message_of_ours_is_found_wherever_it_stands(name: str) -> None:
    where, found = PLACES[name]
    assert provenance(found, SIGNER) == Provenance(**{where: (OURS,)})
    assert provenance(found, Signer(b"x" * 32)).ours == ()


@pytest.mark.parametrize(
    "head", ["Message-ID: <1@outlook.example>\nReferences: OURS", "In-Reply-To: <2@x>\nReferences: <1@x> <2@x> OURS"]
)
def test_a_mail_of_ours_that_got_another_message_id_is_known_by_its_last_reference(head: str) -> None:
    for name in (reference(OURS), reference(OURS).upper()):
        assert provenance(mail(head.replace("OURS", name)), SIGNER).itself == (OURS,)
    assert provenance(mail(head.replace("OURS", reference(FORGED))), SIGNER).itself == ()


@pytest.mark.parametrize("head", ["In-Reply-To: FORGED", "References: <gw.m.x@y>", "Subject: x", "X-Note: OURS"])
def test_what_is_foreign_or_forged_is_not_ours(head: str) -> None:
    assert provenance(mail(head.replace("FORGED", FORGED).replace("OURS", OURS)), SIGNER).ours == ()


def test_the_nearest_is_first() -> None:
    found = provenance(mail(f"References: {OTHER} {OURS}\nIn-Reply-To: {OURS}", f"Message-ID: {OTHER}"), SIGNER)
    assert found.answered == (OURS, OTHER)
    assert found.ours == (OURS, OTHER)
    several = mixed("message/rfc822", f"References: {OTHER}\nMessage-ID: {OURS}\n\nText")
    assert provenance(several, SIGNER).carried == (OURS, OTHER), "the mail that is returned comes before what it answers"


def test_a_mail_has_a_second_name_that_proves_the_same() -> None:
    assert SIGNER.proven(reference(OURS)) == OURS
    assert SIGNER.purpose(reference(OTHER)) == "forward"
    assert [is_reference(one) for one in (OURS, reference(OURS), reference(OURS).upper())] == [False, True, True]
    assert SIGNER.proven(reference(FORGED)) == ""


# --- by the ids of servers ------------------------------------------------------------------------------------------------

TAKEN = [
    (f"250 Ok {SES}", (SES,)),
    ("250 2.0.0 OK queued as 5f0c5c2e-1111-4222-8333-444455556666", ("5f0c5c2e-1111-4222-8333-444455556666",)),
    ("250 2.6.0 <5f0c5c2e-1111-4222-8333-444455556666@x.example> Queued mail", ("5f0c5c2e-1111-4222-8333-444455556666",)),
]
#: What anybody could guess, and names of hosts.
GUESSED = [
    "250 2.0.0 Ok: queued as 4XyZ123abc",
    "250 OK id=1rABCD-0001AB-CD",
    "250 ok 1604311200 qp 12345",
    "250 2.6.0 [InternalId=61234567890123, Hostname=AM0PR01MB0001.eurprd01.prod.exchangelabs.com] Queued mail for delivery",
    "250 thank-you-very-much-indeed-for-this-mail",
    "250 Ok OURS",
    "",
]


@pytest.mark.parametrize(("words", "ids"), TAKEN)
def test_the_id_that_a_server_names_is_kept(words: str, ids: tuple[str, ...]) -> None:
    assert server_ids(words) == ids


@pytest.mark.parametrize("words", GUESSED)
def test_what_can_be_guessed_proves_nothing(words: str) -> None:
    assert server_ids(words.replace("OURS", OURS.strip("<>").partition("@")[0])) == ()


def test_an_answer_to_a_renamed_mail_is_known_by_the_servers_id() -> None:
    origin = Origin(message_id=OURS, operator="acme", user="irina", server_id=SES)
    asked: list[tuple[set[str], set[str]]] = []

    def origins(message_ids: object, names: object) -> list[Origin]:
        asked.append((set(message_ids), set(names)))  # type: ignore[call-overload]
        return [origin]

    answer = mail(f"In-Reply-To: <{SES}@eu-west-1.amazonses.com>\nReferences: <1@x>", mail_id=7)
    found = returned([answer, mail("Subject: x", mail_id=8)], SIGNER, origins)
    assert asked == [(set(), {SES})]
    assert found[7].origins == (origin,)
    assert found[7].provenance.answered == (OURS,)
    assert found[7].renamed == {SES: OURS}
    assert (found[8].origins, found[8].renamed) == ((), {})


def test_the_store_is_asked_once_for_all_and_not_for_nothing() -> None:
    asked: list[object] = []

    def origins(*what: object) -> list[Origin]:
        asked.append(what)
        return []

    returned([mail("Subject: x", mail_id=number) for number in range(9)], SIGNER, origins)
    assert asked == []
    returned([mail(f"In-Reply-To: {OURS}", mail_id=number) for number in range(9)], SIGNER, origins)
    assert len(asked) == 1


# --- bounds ---------------------------------------------------------------------------------------------------------------


@given(
    st.lists(
        st.sampled_from([OURS, OTHER, "<1@x>", "\n", " ", "message-id:", "References: ", "> ", "gw.m.", "\r", "=\n"]), max_size=60
    )
)
def test_no_text_breaks_it(words: list[str]) -> None:
    found = provenance(mail("Subject: x", "".join(words)), SIGNER)
    assert set(found.ours) <= {OURS, OTHER}


def test_malformed_messages_are_nothing_of_ours() -> None:
    assert all(provenance(parse(BytesSource(raw)), SIGNER).ours == () for _, raw in malformed_messages())


@pytest.mark.parametrize("unit", ["message-id: ", "> ", "gw.m.", "OURS ", "\n", " ", "references:\n ", "<", "x@"])
def test_P8_its_time_grows_with_the_size_of_a_mail(unit: str) -> None:
    def seconds(size: int) -> float:
        found = mail("Subject: x", f"{OURS}\n" + (unit * (size // len(unit))).replace("OURS", OURS))
        return cpu_seconds(lambda: provenance(found, SIGNER))

    seconds(1000)
    assert min(seconds(60_000) for _ in range(3)) < 0.2
