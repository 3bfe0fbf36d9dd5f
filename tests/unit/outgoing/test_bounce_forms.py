"""Bounces are known in the forms in which real servers send them, and nothing else is taken for one."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.message.mail import BytesSource, parse
from gatewayd.message.message_ids import Signer, reference
from gatewayd.outgoing.bounces import bounce
from gatewayd.outgoing.loops import withheld
from tests.unit.bounce_forms import FORMS, NONE

if TYPE_CHECKING:
    from gatewayd import Bounce

SIGNER = Signer(b"k" * 32)
OURS = SIGNER.message_id("mail", "acme.example")
FORGED = Signer(b"x" * 32).message_id("mail", "acme.example")
SES = "0102018f3c2a4b5c-1d2e3f40-5a6b-7c8d-9e0f-a1b2c3d4e5f6-000000"
RENAMED = {SES: OURS}


def raw(text: str, ours: str = OURS) -> bytes:
    return (
        text.replace("BARE", ours.strip("<>"))
        .replace("OURS", ours)
        .replace("SECOND", reference(ours))
        .replace("SES", SES)
        .replace("\n", "\r\n")
        .encode()
    )


def read(data: bytes, *, renamed: bool = True) -> Bounce | None:
    return bounce(parse(BytesSource(data)), SIGNER, renamed=RENAMED if renamed else {})


@pytest.mark.parametrize("name", FORMS)
def test_a_bounce_is_known_in_the_form_of(name: str) -> None:
    form = FORMS[name]
    found = read(raw(form.text))
    assert found is not None
    assert (found.message_id, found.evidence) == (OURS, form.evidence)
    assert form.address in [one.address for one in found.recipients], found.recipients


@pytest.mark.parametrize("name", [name for name, form in FORMS.items() if "SES" not in form.text])
def test_P7_a_bounce_of_a_forged_id_is_nobodys_in_the_form_of(name: str) -> None:
    assert read(raw(FORMS[name].text, FORGED)) is None
    assert read(raw(FORMS[name].text, "<other@acme.example>")) is None


def test_a_renamed_mail_is_known_by_its_second_name_or_by_what_its_server_called_it() -> None:
    report, letter = FORMS["Amazon SES"].text, FORMS["a letter about a renamed mail"].text
    assert read(raw(report), renamed=False) is not None, "its second name stands in its References"
    assert read(raw(report.replace("SECOND", "<2@x>"))) is not None
    assert read(raw(report.replace("SECOND", "<2@x>")), renamed=False) is None
    assert read(raw(letter), renamed=False) is None
    named = letter.replace("<SES@eu-west-1.amazonses.com>", "<SES@eu-west-1.amazonses.com>\nReferences: <0@x>\n SECOND\nSubject: x")
    assert read(raw(named), renamed=False) is not None


@pytest.mark.parametrize("name", NONE)
def test_what_is_no_bounce_is_not_taken_for_one(name: str) -> None:
    assert read(raw(NONE[name])) is None


@pytest.mark.parametrize("name", [name for name in FORMS if name != "KDDI, in Japanese"])
def test_P7_no_rule_forwards_a_bounce(name: str) -> None:
    """But for one that has the mark of no mail system, and that only its sender's rate bounds: people write such subjects, too."""
    assert withheld(parse(BytesSource(raw(FORMS[name].text, "<other@acme.example>"))), SIGNER), "known without our id, too"


@pytest.mark.parametrize("name", FORMS)
def test_line_ends_and_case_do_not_matter(name: str) -> None:
    data = raw(FORMS[name].text)
    expected = read(data)
    assert read(data.replace(b"\r\n", b"\n")) == expected
    upper = read(raw(FORMS[name].text, OURS.upper()))
    assert upper is not None
    assert upper.message_id == OURS


@pytest.mark.parametrize("name", FORMS)
def test_what_a_person_sends_on_is_no_bounce(name: str) -> None:
    """A person's From, no trace of the null sender, and a word before the subject, as mail programs do it."""
    text = FORMS[name].text
    head, _, body = text.partition("\n\n")
    lines = [line for line in head.split("\n") if not re.match(r"(?i)(return-path|x-failed|x-ms-|auto-sub|from|subject|\s)", line)]
    kind = [line.replace("multipart/report", "multipart/mixed") for line in lines]
    sent_on = "\n".join(["From: Anna Berg <anna@nord.example>", "Subject: Fwd: your mail", *kind]) + f"\n\n{body}"
    assert read(raw(sent_on)) is None


@given(st.sampled_from(sorted(FORMS)), st.integers(0, 3000), st.integers(0, 80), st.binary(max_size=20))
def test_no_damage_breaks_it(name: str, at: int, length: int, by: bytes) -> None:
    data = raw(FORMS[name].text)
    found = read(data[:at] + by + data[at + length :])
    assert found is None or found.message_id.partition("@")[0] == OURS.partition("@")[0]


@given(st.sampled_from(sorted(FORMS)), st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=6))
def test_no_order_of_lines_breaks_it(name: str, swaps: list[tuple[int, int]]) -> None:
    lines = raw(FORMS[name].text).split(b"\r\n")
    for one, other in swaps:
        if max(one, other) < len(lines):
            lines[one], lines[other] = lines[other], lines[one]
    found = read(b"\r\n".join(lines))
    assert found is None or found.message_id == OURS


@given(st.sampled_from(sorted(NONE)), st.sampled_from(sorted(FORMS)))
def test_no_text_of_a_bounce_makes_one_of_what_a_person_writes(name: str, form: str) -> None:
    """What stands in the text of a person's mail is his, however much it looks like a bounce."""
    if "Anna" not in NONE[name]:
        return
    text = NONE[name] if "multipart" in NONE[name] else f"{NONE[name]}\n{FORMS[form].text.partition(chr(10) * 2)[2]}"
    assert read(raw(text)) is None


@pytest.mark.parametrize(
    "unit", ["550 ", "a@", "a", "message-id: ", "> ", "undeliver ", "5.1.", "\u3042", "\n", " ", "references: ", "x-"]
)
def test_P8_its_time_grows_with_the_size_of_a_letter(unit: str) -> None:
    letter = FORMS["Exim"].text.replace("The following", unit * (60_000 // len(unit)) + "\nThe following")
    data = parse(BytesSource(raw(letter)))
    bounce(data, SIGNER)
    began = time.process_time()
    bounce(data, SIGNER)
    assert time.process_time() - began < 0.5
