from __future__ import annotations

from typing import ClassVar

import pytest

from gatewayd import Finding, Follows, Mail, Miss, Operator
from gatewayd.message.mail import BytesSource, parse
from gatewayd.message.message_ids import Signer
from gatewayd.testing import FakeDirectory
from gatewayd.testing.contracts.matching import MatcherContract
from gatewayd_threads.matcher import Threads

SIGNER = Signer(b"k" * 32)


def answer(*references: str, name: str = "References") -> Mail:
    head = f"From: anna@example.com\r\nSubject: Re: x\r\n{name}: {' '.join(references)}\r\n" if references else "From: a@b\r\n"
    return parse(BytesSource(f"{head}\r\nHello\r\n".encode()), mail_id=1)


def ours() -> str:
    return SIGNER.message_id("mail", "example.com")


class TestThreadsContract(MatcherContract):
    matcher = Threads
    mails: ClassVar = (answer(ours()), answer("<1@example.com>"), answer(), answer(ours(), ours(), name="In-Reply-To"))
    max_questions = 0


def said(mail: Mail) -> list[Finding]:
    directory = FakeDirectory()
    found = list(Threads(Threads.Options(), operator=Operator(name="acme")).match([mail], directory))
    assert directory.questions == []
    return found


@pytest.mark.parametrize("name", ["References", "In-Reply-To"])
def test_an_answer_follows_what_looks_like_ours(name: str) -> None:
    made = ours()
    assert said(answer(made, name=name)) == [Follows(1, made, f"it answers our mail {made}")]
    assert said(answer(made.upper(), name=name)) == [Follows(1, made.upper(), f"it answers our mail {made.upper()}")]


def test_what_is_forwarded_or_foreign_is_not_followed() -> None:
    (miss,) = said(answer(SIGNER.message_id("forward", "example.com"), "<gw.m@example.com>", "<x.gw.m.y@example.com>"))
    assert miss == Miss(1, "it answers no mail of ours (References, In-Reply-To)")
    assert said(answer()) == [Miss(1, "it answers nothing")]


def test_the_newest_come_first_and_at_most_fifty() -> None:
    made = [ours() for _ in range(60)]
    found = said(answer("<0@example.com>", *made))
    assert [one.message_id for one in found if isinstance(one, Follows)] == made[:9:-1]
