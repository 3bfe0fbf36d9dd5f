"""What people write: exactly as the account allows, to whom it belongs, and filed like the mail that comes in."""

from __future__ import annotations

import email
from dataclasses import replace
from email import policy
from typing import TYPE_CHECKING

import pytest

from gatewayd import PermanentError, Query, Viewer
from gatewayd.config import OperatorConfig, SendConfig
from gatewayd.config.models.account import SenderBlock
from gatewayd.message.message_ids import reference
from tests.unit.desk.desks import ACME, IRINA, MAIL, Mailbox, World, login

if TYPE_CHECKING:
    from gatewayd.desk import PreparedMail


def to(prepared: PreparedMail) -> tuple[str, ...]:
    return prepared.planned[0].delivery.to


def header(prepared: PreparedMail, name: str) -> str:
    assert prepared.outgoing
    return dict(prepared.outgoing.mail.headers).get(name, "")


# --- new mail ---------------------------------------------------------------------------------------------------------


def test_a_new_mail_is_filed_as_our_own_and_waits_in_the_outbox(world: World) -> None:
    sent = world.send(bcc=("boss@acme.example",))
    filing = world.filing(sent.mail_id)
    assert (filing.direction, filing.unread, filing.account, filing.user) == ("out", False, "acme-out", None)
    assert (filing.sender, filing.to, filing.subject) == ("desk@acme.example", ("anna@nord.example",), "Rome")
    (view,) = world.deliveries()
    assert (view.id,) == sent.delivery_ids
    assert (view.state, view.mail_id, view.delivery.cause, view.delivery.mode) == ("waiting", sent.mail_id, "person:anna", "as is")
    assert (view.delivery.forwarder, view.delivery.account, view.delivery.target) == ("smtp", "acme-out", "")
    assert view.delivery.to == ("anna@nord.example", "boss@acme.example")


def test_P7_what_goes_out_is_stored_to_the_byte_under_a_message_id_that_is_proven_to_be_ours(world: World) -> None:
    prepared = world.prepared()
    assert prepared.outgoing
    sent = world.desk.send(prepared)
    raw = b"".join(world.desk.mail(ACME, sent.mail_id).raw())
    assert raw == prepared.outgoing.mail.source.read(0, 1 << 20)
    (view,) = world.deliveries()
    assert world.signer.purpose(view.delivery.message_id) == "mail"
    assert view.delivery.message_id.endswith("@acme.example>")
    assert world.filing(sent.mail_id).message_id == view.delivery.message_id
    assert email.message_from_bytes(raw, policy=policy.compat32)["Message-ID"] == view.delivery.message_id


def test_preparing_writes_nothing(world: World) -> None:
    prepared = world.prepared(cc=("cc@nord.example",))
    assert prepared.allowed
    assert world.deliveries() == []
    assert world.desk.list(IRINA, Query()) == []


def test_nobody_to_send_to_is_refused(world: World) -> None:
    assert "to nobody" in world.refusal(to=()).message


def test_the_sender_is_the_account_unless_its_writer_says_otherwise(world: World) -> None:
    assert world.prepared().planned[0].sender == "Acme Tours <desk@acme.example>"
    assert world.prepared(sender="DESK@acme.example").planned[0].sender == "Acme Tours <DESK@acme.example>"
    other = world.prepared(sender="Irina <irina@acme.example>")
    assert (other.planned[0].sender, other.planned[0].envelope) == ("Irina <irina@acme.example>", "desk@acme.example")
    assert header(other, "from") == '"Irina" <irina@acme.example>'
    assert "from one address" in world.refusal(sender="a@x.de, b@x.de").message


# --- answers ----------------------------------------------------------------------------------------------------------


def test_an_answer_goes_to_the_sender_with_a_single_re_and_the_original_below(world: World) -> None:
    prepared = world.reply(world.file())
    assert to(prepared) == ("anna@nord.example",)
    assert header(prepared, "to") == "Müller, Anna <anna@nord.example>"
    assert header(prepared, "subject") == "Re: Rome"
    assert header(prepared, "in-reply-to") == "<2@nord.example>"
    second = reference(header(prepared, "message-id"))
    assert header(prepared, "references") == f"<1@nord.example> <2@nord.example> {second}", (
        "it names itself, should a relay rename it"
    )
    assert header(prepared, "cc") == header(prepared, "reply-to") == ""
    assert prepared.outgoing
    assert prepared.outgoing.mail.text == "In May.\n\nOn 2026-01-05 09:00 UTC, Müller, Anna wrote:\n> When?\n"


def test_an_answer_inherits_the_links_of_what_it_answers(world: World) -> None:
    mail_id = world.file()
    sent = world.desk.send(world.reply(mail_id))
    assert [(link.kind, link.id) for link in world.filing(sent.mail_id).links] == [("customer", "C1")]
    again = world.desk.send(world.reply(sent.mail_id))
    assert [link.id for link in world.filing(again.mail_id).links] == ["C1"]


def test_reply_to_comes_before_from_and_no_name_in_it_passes_for_an_address(world: World) -> None:
    name = b"=?utf-8?q?evil=40x.de=2C_=22a?="
    raw = MAIL.replace(b"Subject:", b"Reply-To: " + name + b" <list@nord.example>,\r\n b@nord.example\r\nSubject:", 1)
    assert to(world.reply(world.file(raw))) == ("list@nord.example", "b@nord.example")


def test_an_answer_to_all_leaves_out_ourselves_and_what_is_no_address(world: World) -> None:
    prepared = world.reply(world.file(), to_all=True)
    assert header(prepared, "to") == 'Müller, Anna <anna@nord.example>, "Otto" <otto@nord.example>'
    assert header(prepared, "cc") == "cc@nord.example"
    assert to(prepared) == ("anna@nord.example", "otto@nord.example", "cc@nord.example")
    assert len(prepared.notes) == 2
    assert "not ASCII" in prepared.notes[0]
    assert "'junk' is no address" in prepared.notes[1]


@pytest.mark.parametrize(
    "ours", ["reservations@m\u00fcller.example", "reservations@xn--mller-kva.example", "reservations@\uff4d\u00fcller.example"]
)
@pytest.mark.parametrize("named", ["reservations@M\u00fcller.example", "reservations@xn--mller-kva.example"])
def test_ourselves_are_known_in_either_spelling_of_the_domain(world: World, ours: str, named: str) -> None:
    world.accounts["main"] = replace(world.accounts["main"], options=login(ours))
    raw = f"From: anna@xn--bcher-kva.example\r\nSubject: Rome\r\nTo: {named}, Anna@b\u00fccher.example, duty@nord.example\r\n\r\nWhen?\r\n"
    prepared = world.reply(world.file(raw.encode()), to_all=True, to=("duty@NORD.example",))
    assert to(prepared) == ("anna@xn--bcher-kva.example", "duty@nord.example")


def test_who_is_answered_in_the_other_spelling_of_the_domain_is_the_sender(world: World) -> None:
    raw = "From: anna@b\u00fccher.example\r\nReply-To: anna@xn--bcher-kva.example\r\nSubject: Rome\r\n\r\nWhen?\r\n"
    prepared = world.reply(world.file(raw.encode()))
    assert to(prepared) == ("anna@xn--bcher-kva.example",)
    assert not prepared.notes
    world.allow(match=True, from_=SenderBlock(address="desk@m\u00fcller.example"))
    assert all(one.allowed for one in world.prepared(sender="desk@xn--mller-kva.example").checks if one.rule == "match")


def test_an_answer_to_all_is_refused_where_the_account_sends_no_cc(world: World) -> None:
    world.allow(cc=False)
    prepared = world.reply(world.file(), to_all=True)
    with pytest.raises(PermanentError, match="sends no Cc"):
        world.desk.send(prepared)


def test_what_the_writer_adds_comes_on_top(world: World) -> None:
    prepared = world.reply(
        world.file(), to=("more@x.de", "anna@nord.example"), cc=("anna@nord.example", "c@x.de"), bcc=("b@x.de",), subject="Oslo"
    )
    assert header(prepared, "to") == "Müller, Anna <anna@nord.example>, more@x.de"
    assert (header(prepared, "cc"), header(prepared, "subject")) == ("c@x.de", "Oslo")
    assert to(prepared) == ("anna@nord.example", "more@x.de", "c@x.de", "b@x.de")


def test_our_own_mail_is_answered_to_its_recipients(world: World) -> None:
    sent = world.send(to=("Anna <anna@nord.example>", "otto@nord.example"), cc=("cc@nord.example",))
    prepared = world.reply(sent.mail_id)
    assert to(prepared) == ("anna@nord.example", "otto@nord.example")
    assert header(prepared, "in-reply-to") == world.filing(sent.mail_id).message_id
    assert to(world.reply(sent.mail_id, to_all=True)) == ("anna@nord.example", "otto@nord.example", "cc@nord.example")


def test_an_answer_to_nobody_needs_an_address(world: World) -> None:
    mail_id = world.file(b"Subject: who?\r\n\r\nhi\r\n")
    with pytest.raises(PermanentError, match="to nobody") as caught:
        world.reply(mail_id)
    assert "--to" in caught.value.advice
    assert to(world.reply(mail_id, to=("a@x.de",))) == ("a@x.de",)


def test_P6_an_answer_to_personal_mail_is_its_owners_and_answers_come_to_the_owner(world: World) -> None:
    mail_id = world.file(owner="irina")
    with pytest.raises(PermanentError, match="has no mail"):
        world.reply(mail_id, ACME)
    sent = world.desk.send(prepared := world.reply(mail_id, IRINA))
    assert header(prepared, "from") == header(prepared, "reply-to") == '"Mari, Irina" <irina@acme.example>'
    assert world.filing(sent.mail_id, IRINA).user == "irina"
    assert world.deliveries(ACME) == []
    with pytest.raises(PermanentError, match="has no mail"):
        world.filing(sent.mail_id, ACME)


def test_an_answer_to_personal_mail_is_from_whom_its_account_allows(world: World) -> None:
    mail_id = world.file(owner="irina")
    world.allow(match=True)
    prepared = world.reply(mail_id, IRINA)
    assert header(prepared, "from") == '"Acme Tours" <desk@acme.example>'
    assert header(prepared, "reply-to") == '"Mari, Irina" <irina@acme.example>'
    assert prepared.allowed
    assert header(world.reply(world.file(MAIL + b"\r\n", key="2"), IRINA), "from") == '"Acme Tours" <desk@acme.example>'
    typed = world.reply(mail_id, IRINA, sender="else@acme.example")
    assert not typed.allowed


def test_P6_whom_personal_mail_is_shared_with_answers_in_the_operators_name(world: World) -> None:
    own = SendConfig.model_validate({"from": {"address": "irina@home.example"}})
    world.accounts["irina-out"] = replace(world.accounts["acme-out"], name="irina-out", user="irina", sends=own)
    tom = Viewer(operator="acme", users=("tom",), shared=(("main", "irina"),))
    prepared = world.reply(world.file(owner="irina"), tom)
    assert prepared.planned[0].delivery.account == "acme-out"
    assert header(prepared, "from") == '"Acme Tours" <desk@acme.example>'
    assert header(prepared, "reply-to") == '"Mari, Irina" <irina@acme.example>'
    assert prepared.outgoing
    assert prepared.outgoing.user == "irina"


def test_P6_an_answer_to_personal_mail_goes_through_the_users_own_account_that_sends(world: World) -> None:
    own = SendConfig.model_validate({"from": {"name": "Irina", "address": "irina@home.example"}, "match": True})
    out = world.accounts["acme-out"]
    for name, operator, user in (("irina-out", "acme", "irina"), ("namesake", "globetrot", "irina"), ("a-tom", "acme", "tom")):
        world.accounts[name] = replace(out, name=name, operators=(operator,), user=user, sends=own)
    prepared = world.reply(world.file(owner="irina"), IRINA)
    assert prepared.planned[0].delivery.account == "irina-out"
    assert header(prepared, "from") == '"Irina" <irina@home.example>'
    assert header(prepared, "reply-to") == '"Mari, Irina" <irina@acme.example>'
    assert prepared.allowed
    # What is general goes through nobody's own.
    assert world.reply(world.file(MAIL + b"\r\n", key="2"), IRINA).planned[0].delivery.account == "acme-out"
    assert world.send().mail_id
    assert {one.delivery.account for one in world.deliveries()} == {"acme-out"}


def test_P6_no_answer_to_personal_mail_goes_out_while_nobody_knows_its_owners_address(world: World) -> None:
    world.operators["acme"] = OperatorConfig(name="acme", faulty=True)
    mail_id = world.file(owner="irina")
    with pytest.raises(PermanentError, match=r"operators/acme\.yaml does not say who irina is") as caught:
        world.reply(mail_id, IRINA)
    assert "gatewayd check" in caught.value.advice
    assert to(world.reply(world.file(MAIL + b"\r\n", key="2"), to_all=True))


@pytest.mark.parametrize("name", ["Reply-To", "From"])
def test_an_answer_to_what_is_no_address_says_so_and_needs_one(world: World, name: str) -> None:
    raw = f"{name}: noreply\r\nSubject: who?\r\n\r\nhi\r\n".encode()
    mail_id = world.file(raw)
    with pytest.raises(PermanentError, match=r"to nobody \(.*'noreply' is no address") as caught:
        world.reply(mail_id)
    assert "--to" in caught.value.advice
    prepared = world.reply(mail_id, to=("a@x.de",))
    assert to(prepared) == ("a@x.de",)
    assert "left out: 'noreply' is no address" in prepared.notes[-1]


def test_an_answer_that_does_not_go_to_the_sender_says_so(world: World) -> None:
    raw = MAIL.replace(b"Subject:", b"Reply-To: evil@x.de, b@x.de\r\nSubject:", 1)
    assert world.reply(world.file(raw)).notes == (
        "it goes to evil@x.de and 1 more, as Reply-To asks, and not to the sender, anna@nord.example",
    )
    raw = MAIL.replace(b"Subject:", b"Reply-To: ANNA@nord.example\r\nSubject:", 1)
    assert world.reply(world.file(raw, key="2")).notes == ()


@pytest.mark.parametrize(
    ("wanted", "goes"),
    [
        (b"reservations@acme.example", ("anna@nord.example",)),
        ("reservations@\uff41cme\u3002example".encode(), ("anna@nord.example",)),
        (b"Desk <DESK@acme.example>", ("anna@nord.example",)),
        (b"desk@acme.example, b@x.de", ("b@x.de",)),
        (b"irina@acme.example", ("irina@acme.example",)),
    ],
)
def test_an_answer_does_not_go_to_our_own_shared_mailbox(world: World, wanted: bytes, goes: tuple[str, ...]) -> None:
    """Forms on web pages write it into Reply-To. A colleague may get an answer."""
    prepared = world.reply(world.file(MAIL.replace(b"Subject:", b"Reply-To: " + wanted + b"\r\nSubject:", 1)))
    assert to(prepared) == goes
    assert any("shared mailbox" in note for note in prepared.notes) == (b"irina" not in wanted)


def test_nor_to_a_shared_mailbox_that_is_opened_by_tokens_alone(world: World) -> None:
    world.accounts["main"] = replace(world.accounts["main"], options=Mailbox(mailbox="Sales@acme.example"))
    mail_id = world.file(
        MAIL.replace(b"Subject:", b"Reply-To: sales@acme.example\r\nCc: sales@acme.example, b@x.de\r\nSubject:", 1)
    )
    assert to(world.reply(mail_id)) == ("anna@nord.example",)
    assert "sales@acme.example" not in to(world.reply(mail_id, to_all=True))
    world.accounts["main"] = replace(world.accounts["main"], options=Mailbox(mailbox="6f1c0000-object-id"))
    assert to(world.reply(mail_id)) == ("sales@acme.example",)


def test_P8_endless_names_of_the_original_are_cut(world: World) -> None:
    raw = b'From: "' + b"Anna " * 100_000 + b'" <anna@nord.example>\r\nSubject: x\r\n\r\nhi\r\n'
    prepared = world.reply(world.file(raw))
    assert to(prepared) == ("anna@nord.example",)
    assert prepared.size < 3000


def test_our_own_address_is_known_in_both_of_its_forms(world: World) -> None:
    world.allow(match=True, from_=SenderBlock(address="desk@m\u00fcnchen.example"))
    assert world.prepared().allowed
    assert world.prepared(sender="desk@xn--mnchen-3ya.example").allowed
    # A name to log in with may look like an address and be none.
    world.accounts["main"] = replace(world.accounts["main"], options=login("we@x..y"))
    raw = MAIL.replace(b"desk@ACME.example", b"desk@XN--mnchen-3ya.example")
    assert "xn--mnchen" not in "".join(to(world.reply(world.file(raw), to_all=True)))


def test_hostile_headers_of_the_original_stay_words(world: World) -> None:
    raw = (
        b"Message-ID: <1@x>\r\nFrom: =?utf-8?q?a=0d=0aBcc:_evil=40x.de=E2=80=A8?= <anna@nord.example>\r\n"
        b"Subject: =?utf-8?q?x=0d=0aBcc:_evil=40x.de=E2=80=A8y=00?=\r\nReferences: <a@x>\r\n\t<b\x00c@x> <=?utf-8?q?=0d=0a?=@x>\r\n\r\n\x00\r\n"
    )
    prepared = world.reply(world.file(raw))
    assert to(prepared) == ("anna@nord.example",)
    assert header(prepared, "bcc") == ""
    assert header(prepared, "subject") == "Re: x Bcc: evil@x.de y\ufffd"
    assert prepared.outgoing
    assert b"\0" not in prepared.outgoing.mail.source.read(0, 1 << 20)
