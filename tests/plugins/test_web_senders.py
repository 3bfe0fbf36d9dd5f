from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd_web.senders import looks_like

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("domain", "known", "is_like"),
    [
        ("nord-reisen.example", "nordreisen.example", True),
        ("n0rdreisen.example", "nordreisen.example", True),
        ("nordriesen.example", "nordreisen.example", True),
        ("nordreise.example", "nordreisen.example", True),
        ("rnaritirn.example", "maritim.example", True),
        ("xn--nordreien-tq7d.example", "nordreisen.example", False),
        ("\u0430cme-tours.example", "acme-tours.example", True),
        ("xn--cme-tours-zyh.example", "acme-tours.example", True),
        ("mail1.nord.example", "mail2.nord.example", False),
        ("mail1.nord.co.uk", "mail2.nord.co.uk", False),
        ("nord.co.uk", "nort.co.uk", True),
        ("sued.example", "nord.example", False),
        ("nordreisen.example", "nordreisen.example", False),
        ("ab.de", "ac.de", False),
        ("xn--\u00e4.example", "xn--b.example", True),
        ("", "", False),
    ],
)
def test_a_domain_that_could_be_taken_for_another(domain: str, known: str, *, is_like: bool) -> None:
    assert looks_like(domain, known) == is_like
    assert looks_like(known, domain) == is_like


def _edits() -> st.SearchStrategy[Callable[[str], str]]:
    def edit(kind: str, at: int, char: str) -> Callable[[str], str]:
        def edited(text: str) -> str:
            place = at % (len(text) - 1)
            if kind == "left out":
                return text[:place] + text[place + 1 :]
            if kind == "put in":
                return text[:place] + char + text[place:]
            if kind == "replaced":
                return text[:place] + char + text[place + 1 :]
            return text[:place] + text[place + 1] + text[place] + text[place + 2 :]

        return edited

    return st.builds(edit, st.sampled_from(["left out", "put in", "replaced", "exchanged"]), st.integers(0), st.sampled_from("qzx"))


@given(st.text("abdefg", min_size=6, max_size=20), _edits())
def test_one_typing_error_makes_a_domain_look_alike(name: str, edit: Callable[[str], str]) -> None:
    other = edit(name)
    if other != name:
        assert looks_like(f"{other}.example", f"{name}.example")


@given(st.text(max_size=30), st.text(max_size=30))
def test_nothing_that_a_domain_may_be_is_an_error(one: str, other: str) -> None:
    assert looks_like(one, other) == looks_like(other, one)
    assert not looks_like(one, one)
