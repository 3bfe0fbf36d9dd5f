"""Words of faults: the nearest known word, and places as people write them."""

from __future__ import annotations

import pytest

from gatewayd.config.faults import dotted, hint


@pytest.mark.parametrize(
    ("word", "known", "said"),
    [
        ("hots", ["host", "port"], ", did you mean 'host'?"),
        ("x", ["port", "host", "host"], ", expected 'host' or 'port'"),
        ("x", [], ""),
    ],
)
def test_an_unknown_word_is_answered_with_the_nearest_or_with_all(word: str, known: list[str], said: str) -> None:
    assert hint(word, known) == said


def test_a_place_is_written_as_people_write_it() -> None:
    assert dotted(("import", "folders", 0)) == "import.folders[0]"
    assert dotted(()) == ""
