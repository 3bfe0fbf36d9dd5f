"""What a forwarder writes down of a delivery for its next try."""

from __future__ import annotations

import pytest

from gatewayd import DeliveryNote, TransientError


def test_a_note_is_what_was_written_last_once_the_store_has_it() -> None:
    kept: list[str] = []
    note = DeliveryNote("draft 1", kept.append)
    assert note.text == "draft 1"
    note.write("draft 2")
    assert (note.text, kept) == ("draft 2", ["draft 2"])

    def away(text: str) -> None:
        raise TransientError(f"the store is away, {text} is not kept")

    lost = DeliveryNote("draft 1", away)
    with pytest.raises(TransientError):
        lost.write("draft 2")
    assert lost.text == "draft 1"


def test_P8_a_note_is_short() -> None:
    kept: list[str] = []
    note = DeliveryNote("", kept.append)
    note.write("n" * 4000)
    with pytest.raises(ValueError, match="expected a note of at most 4000 characters, got 4001"):
        note.write("n" * 4001)
    assert (note.text, kept) == ("n" * 4000, ["n" * 4000])
