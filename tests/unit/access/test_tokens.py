"""Tokens of web sessions: nobody guesses one, and what is kept of one gives no access."""

from __future__ import annotations

import pytest

from gatewayd.access.tokens import digest_of, new_token


def test_no_two_tokens_are_the_same_and_each_has_its_digest() -> None:
    tokens = {new_token() for _ in range(200)}
    assert len(tokens) == len({digest_of(one) for one in tokens}) == 200
    assert all(len(one) == 43 and one.isascii() for one in tokens)
    one = tokens.pop()
    assert digest_of(one) == digest_of(one)


@pytest.mark.parametrize("text", ["", "a" * 42, "a" * 44, "a" * 43 + "\n", "ä" * 43, "a b" + "c" * 40, "=" * 43])
def test_what_is_no_token_has_no_digest(text: str) -> None:
    assert digest_of(text) is None
