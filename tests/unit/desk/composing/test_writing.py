"""Mail that we write ourselves: what a person types can't become a header, a line that is too long or another address."""

from __future__ import annotations

import email
import re
from dataclasses import replace
from email import policy
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatewayd import Address, Part, PermanentError
from gatewayd.desk.composing.recipients import strict
from gatewayd.desk.composing.writing import AttachedFile, Draft, written
from gatewayd.message.body import Alternatives
from gatewayd.message.encoded_words import header_text
from gatewayd.message.mail import BytesSource, Mail, parse
from gatewayd.message.message_ids import reference
from tests.unit.desk.composing.drafts import ANNA, DESK, DRAFT, anything, is_sound

HEADERS = {
    "from", "reply-to", "to", "cc", "subject", "date", "message-id", "in-reply-to", "references",
    "mime-version", "content-type", "content-transfer-encoding",
}  # fmt: skip

printable = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=300)

local = st.text(st.sampled_from("abcXYZ019!#$%&'*+/=?^_`{|}~-."), min_size=1, max_size=30)

domain = st.sampled_from(["nord.example", "x.de", "exämple.com", "[192.0.2.1]", "中国.example"])

people = st.builds(lambda name, local, domain: Address(name=name, email=f"{local}@{domain}"), printable, local, domain)


def seen(draft: Draft) -> Mail:
    return parse(BytesSource(written(draft)))


def parsed(draft: Draft) -> Any:
    """As the standard library reads it (compat32)."""
    return email.message_from_bytes(written(draft), policy=policy.compat32)


def refusal(**changed: Any) -> PermanentError:
    with pytest.raises(PermanentError) as caught:
        written(replace(DRAFT, **changed))
    return caught.value


# --- header -----------------------------------------------------------------------------------------------------------


@given(anything, anything, anything, anything)
@example("x\r\nBcc: evil@example.com", "a", "b", "c")
@example("a", "=?utf-8?q?=0d=0aBcc:_evil=40example.com?=", "b", "c")
def test_nothing_that_is_typed_becomes_a_header(subject: str, name: str, file: str, reference: str) -> None:
    draft = replace(
        DRAFT,
        subject=subject,
        to=(replace(ANNA, name=name),),
        attachments=(AttachedFile(name=file, type="text/plain", data=b"hi"),),
        in_reply_to=reference,
        references=(reference, f"<{reference}>"),
    )
    try:
        raw = written(draft)
    except PermanentError:
        return
    is_sound(raw)
    head, _, _ = raw.partition(b"\r\n\r\n")
    names = [line.partition(b":")[0].lower().decode() for line in head.split(b"\r\n") if line[:1] not in b" \t"]
    assert set(names) <= HEADERS
    assert len(names) == len(set(names))
    assert [one.email for one in parse(BytesSource(raw)).to] == [ANNA.email]


@pytest.mark.parametrize("hidden", ["\r", "\n", "\r\n", "\0", "\x0b", "\x85", "\u2028", "\u2029"])
def test_line_breaks_and_controls_are_refused_in_every_field(hidden: str) -> None:
    typed = f"a{hidden}Bcc: evil@example.com"
    assert "subject" in refusal(subject=typed).message
    for field in ("to", "cc"):
        assert "name of an address" in refusal(**{field: (replace(ANNA, name=typed),)}).message
    assert "name of an address" in refusal(sender=replace(DESK, name=typed)).message
    assert "name of an address" in refusal(reply_to=replace(DESK, name=typed)).message
    assert "name of a file" in refusal(attachments=(AttachedFile(name=typed, type="text/plain", data=b""),)).message
    assert "no type" in refusal(attachments=(AttachedFile(name="a", type=f"text/plain{hidden}x", data=b""),)).message
    assert "no Message-ID" in refusal(message_id=f"<{typed}>").message
    for address in (f"anna{hidden}@nord.example", f"anna@nord{hidden}.example", f'"a{hidden}"@nord.example'):
        assert "is no address" in refusal(to=(Address(name="", email=address),)).message


def test_what_is_no_line_any_more_is_refused_and_not_repeated() -> None:
    told = refusal(subject="x" * 10_000_000).message
    assert told.startswith("the subject has 10000000 characters, expected at most 10000: 'xxx")
    assert len(told) < 200


def test_half_a_surrogate_pair_is_refused_and_said() -> None:
    assert "subject" in refusal(subject="a\ud800").message
    assert "text" in refusal(text="a\udfff").message
    assert "html" in refusal(html="a\udfff").message


@given(printable, st.lists(people, min_size=1, max_size=5), st.lists(people, max_size=3))
@example("x" * 2000, [Address(name="Müller, Anna", email="a@x.de"), Address(name="Ö, B", email="b@x.de")], [])
@example("=?utf-8?q?x?=", [Address(name="=?utf-8?q?=2C?=", email="a@x.de")], [])
@example(" two  spaces ", [Address(name="=?utf-8?q?x?=", email="a@x.de")], [])
def test_subject_and_names_come_back_as_they_were(subject: str, to: list[Address], cc: list[Address]) -> None:
    draft = replace(DRAFT, subject=subject, to=tuple(to), cc=tuple(cc))
    is_sound(written(draft))
    mail, message = seen(draft), parsed(draft)
    assert mail.subject == header_text(re.sub("\r?\n", "", message["subject"]))
    assert mail.subject.strip() == subject.strip()
    assert [one.name for one in mail.to] == [" ".join(one.name.split(" ")).strip() for one in to]
    assert [one.email for one in mail.to] == [strict(one).email for one in to]
    assert [one.email for one in mail.cc] == [strict(one).email for one in cc]
    assert mail.faults == ()


def test_what_the_header_says() -> None:
    draft = replace(DRAFT, cc=(DESK,), reply_to=ANNA, in_reply_to="<1@nord.example>", references=("<0@x>", "<1@nord.example>"))
    assert written(draft).decode().splitlines()[:10] == [
        'From: "Acme Tours" <desk@acme.example>',
        'Reply-To: "Anna" <anna@nord.example>',
        'To: "Anna" <anna@nord.example>',
        'Cc: "Acme Tours" <desk@acme.example>',
        "Subject: Rome",
        "Date: Mon, 05 Jan 2026 09:00:00 +0000",
        "Message-ID: <gw.m.1.2@acme.example>",
        "In-Reply-To: <1@nord.example>",
        "References: <0@x>",
        " <1@nord.example>",
    ]


def test_bcc_is_in_the_envelope_and_nowhere_in_the_mail() -> None:
    draft = replace(DRAFT, bcc=(Address(name="Secret Sam", email="sam@hidden.example"),))
    assert draft.recipients == ("anna@nord.example", "sam@hidden.example")
    assert b"hidden" not in written(draft)
    assert b"Sam" not in written(draft)
    assert b"bcc" not in written(draft).lower()


def test_the_envelope_has_everybody_once() -> None:
    draft = replace(DRAFT, cc=(DESK, replace(ANNA, email="ANNA@nord.example")), bcc=(Address(name="", email="b@exämple.com"),))
    assert draft.recipients == ("anna@nord.example", "desk@acme.example", "b@xn--exmple-cua.com")


def test_references_are_bounded_and_what_is_no_id_is_left_out() -> None:
    many = tuple(f"<{number}@x>" for number in range(100))
    draft = replace(DRAFT, references=(*many, "no id", "<two words>", "<ü@x>", f"<{'x' * 901}>", "<99@x>"), in_reply_to="junk")
    mail = seen(draft)
    assert mail.references == (many[0], *many[-30:], reference(DRAFT.message_id))
    assert "in-reply-to" not in dict(mail.headers)


def test_equal_drafts_are_equal_bytes_and_others_have_other_boundaries() -> None:
    draft = replace(DRAFT, html="<p>Dear Anna</p>", attachments=(AttachedFile(name="a.pdf", type="application/pdf", data=b"%PDF"),))
    assert written(draft) == written(replace(draft))
    boundaries = [set(re.findall(rb'boundary="(.*)"', written(one))) for one in (draft, replace(draft, text="x"))]
    assert len(boundaries[0]) == 2
    assert not boundaries[0] & boundaries[1]


# --- body -------------------------------------------------------------------------------------------------------------


@given(anything, anything, st.binary(max_size=200))
@example("x" * 5000, "<p>" + "y" * 5000, b"")
@example("From here\n.\n..\n--\n", "", b"")
@example("ü" * 5000 + "\r\r\n\n", "\x0c\x85", b"\r\n.\r\n")
def test_texts_and_files_come_back_as_they_were_in_lines_that_any_server_takes(text: str, html: str, data: bytes) -> None:
    draft = replace(DRAFT, text=text, html=html, attachments=(AttachedFile(name="a", type="application/pdf", data=data),))
    try:
        raw = written(draft)
    except PermanentError:
        assert "\0" in text + html or re.search("[\ud800-\udfff]", text + html)
        return
    is_sound(raw)
    mail = parse(BytesSource(raw))
    assert b"".join(mail.attachment(0)) == data

    def lines(one: str) -> str:
        return one.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").removeprefix("\ufeff")

    bodies: dict[str, Any] = {
        part.get_content_type(): part for part in email.message_from_bytes(raw, policy=policy.compat32).walk()
    }
    if text:
        assert lines(bodies["text/plain"].get_payload(decode=True).decode()).removeprefix("\ufeff") == lines(text)
    assert ("text/html" in bodies) == bool(html)
    if html:
        assert lines(bodies["text/html"].get_payload(decode=True).decode()) == lines(html)


#: Names that are legal on a disk, and more than a name to some reader of headers.
_SLY_NAMES = (
    "=?utf-8?q?a=0D=0AContent-Type:_text=2Fhtml=0D=0A=0D=0A<script>?=.txt",
    "=?utf-8?b?DQpYOiB5?=",
    "=?utf-8?q?a=00b?=",
    "=?us-ascii?q?x?= =?us-ascii?q?y?=",
    "=?x",
    "a\\=?utf-8?q?=0A?=",
    "utf-8''a%0D%0Ab",
    "%0D%0A",
    "a*0*=b",
    '"; filename="b.exe',
    "a;b",
    "\u202efdp.exe",
    "x" * 300,
    "ü" * 300,
)


@pytest.mark.parametrize("name", _SLY_NAMES)
def test_P9_the_name_of_a_file_is_a_name_to_every_reader(name: str) -> None:
    raw = written(replace(DRAFT, attachments=(AttachedFile(name=name, type="text/plain", data=b"hi"),)))
    is_sound(raw)
    document: Any = email.message_from_bytes(raw, policy=policy.compat32)
    (_, part) = document.get_payload()
    assert [field for field, _ in part.items()] == ["Content-Type", "Content-Transfer-Encoding", "Content-Disposition"]
    assert part.get_filename() == name
    assert part.get_payload(decode=True) == b"hi"
    (_, modern) = email.message_from_bytes(raw, policy=policy.default).iter_parts()
    assert (modern.get_filename(), modern.get_content_type()) == (name, "text/plain")
    (attachment,) = parse(BytesSource(raw)).attachments
    assert attachment.type == "text/plain"


@given(printable.filter(lambda name: len(name.encode()) < 200))
@example("Ü" * 90 + '"\\;.pdf')
@example('a"b;c.pdf')
@example("x" * 190)
def test_file_names_come_back_as_they_were(name: str) -> None:
    draft = replace(DRAFT, attachments=(AttachedFile(name=name, type="text/csv", data=b"a"),))
    is_sound(written(draft))
    (_, part) = parsed(draft).get_payload()
    assert part.get_content_disposition() == "attachment"
    found = part.get_filename()
    assert found == (name.strip() or "attachment")


def test_html_alone_has_a_text_made_of_it() -> None:
    mail = seen(replace(DRAFT, text="", html="<p>Dear <b>Anna</b></p><script>x</script>"))
    assert mail.text == "Dear Anna\n"
    (versions,) = mail.body
    assert isinstance(versions, Alternatives)
    assert [part.type for (part,) in versions.versions if isinstance(part, Part)] == ["text/plain", "text/html"]


def test_shapes() -> None:
    pdf = AttachedFile(name="a.pdf", type="application/pdf", data=b"%PDF")

    def shape(**changed: Any) -> list[str]:
        return [part.get_content_type() for part in parsed(replace(DRAFT, **changed)).walk()]

    assert shape() == ["text/plain"]
    assert shape(html="<p>x") == ["multipart/alternative", "text/plain", "text/html"]
    assert shape(attachments=(pdf,)) == ["multipart/mixed", "text/plain", "application/pdf"]
    assert shape(html="<p>x", attachments=(pdf, pdf)) == [
        "multipart/mixed", "multipart/alternative", "text/plain", "text/html", "application/pdf", "application/pdf",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["message/rfc822", "multipart/mixed"])
def test_what_may_not_be_encoded_goes_as_a_file_like_any(kind: str) -> None:
    (attachment,) = seen(replace(DRAFT, attachments=(AttachedFile(name="a.eml", type=kind, data=b"From: \xff\n"),))).attachments
    assert (attachment.type, attachment.name) == ("application/octet-stream", "a.eml")


def test_nul_is_refused() -> None:
    assert refusal(text="a\0b").message == "the text has a NUL character"
    assert refusal(html="a\0b").advice
