"""Phrases of mail systems: known in any case and with or without accents, and told from those of answers."""

from __future__ import annotations

import pytest

from gatewayd.outgoing import bounce_phrases


@pytest.mark.parametrize(
    "text", ["Delivery FAILED for this address: user  unknown", "No mailbox here by that name", "undeliverable"]
)
def test_what_was_given_up_is_known_by_its_words(text: str) -> None:
    assert bounce_phrases.fails(text)
    assert not bounce_phrases.delays(text)


@pytest.mark.parametrize(
    "text", ["The server will keep trying", "Message is still in the queue", "continuera d'essayer", "Noch nicht zugestellt"]
)
def test_what_is_still_tried_is_known_by_its_words(text: str) -> None:
    assert bounce_phrases.delays(text)


def test_accents_do_not_matter() -> None:
    assert bounce_phrases.delays("N'a pas encore été remis") == bounce_phrases.delays("N'a pas encore ete remis") is True


@pytest.mark.parametrize("text", ["Thank you for the booking", "We arrive at 5.30", ""])
def test_what_people_write_is_neither(text: str) -> None:
    assert not bounce_phrases.fails(text)
    assert not bounce_phrases.is_permanent(text)
    assert not bounce_phrases.delays(text)


@pytest.mark.parametrize(
    ("subject", "answer"),
    [("Re: failure notice", True), ("AW[2]: x", True), ("回复\uff1ax", True), ("failure notice", False), ("Rome", False)],
)
def test_answers_are_known_by_the_word_before_their_subject(subject: str, *, answer: bool) -> None:
    assert bounce_phrases.is_answer(subject) is answer


@pytest.mark.parametrize(
    ("text", "code"), [("550 5.1.1 unknown", True), ("#5.7.1", True), ("room 550", False), ("v1.5.1.1", False)]
)
def test_a_code_of_class_5_is_no_other_number(text: str, *, code: bool) -> None:
    assert bool(bounce_phrases.CODE.search(text)) is code
