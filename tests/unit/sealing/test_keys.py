"""Seals: what comes out is what went in, for the same matter and by the same key alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd import AuthError, SealedSecret
from gatewayd.sealing.keys import SealingKey, SealingKeys, name_of

ONE, OTHER = SealingKey("1" * 32), SealingKey("2" * 32)
ABOUT = {"what": "refresh token", "user": "irina@acme.example"}
_ABOUTS = st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=3)


@given(secret=st.text(max_size=3000).filter(lambda text: "\ud800" not in ascii(text)), about=_ABOUTS)
def test_a_secret_comes_out_as_it_went_in(secret: str, about: dict[str, str]) -> None:
    sealed = ONE.seal(secret, about)
    assert ONE.opened(sealed, dict(reversed(about.items()))) == secret
    assert ONE.seal(secret, about) != sealed
    assert secret.encode() not in sealed.sealed or len(secret) < 5


@given(one=_ABOUTS, other=_ABOUTS)
def test_P6_what_is_sealed_for_one_opens_for_no_other(one: dict[str, str], other: dict[str, str]) -> None:
    sealed = ONE.seal("token", one)
    assert (ONE.opened(sealed, other) == "token") is (one == other)
    assert (name_of(one) == name_of(other)) is (one == other)


@given(at=st.integers(0, 40), bits=st.integers(1, 255))
def test_what_was_changed_does_not_open(at: int, bits: int) -> None:
    sealed = ONE.seal("a secret of 13", ABOUT)
    raw = bytearray(sealed.sealed)
    raw[at] ^= bits
    assert ONE.opened(SealedSecret(ONE.id, bytes(raw)), ABOUT) is None
    assert ONE.opened(SealedSecret(ONE.id, bytes(raw[:at])), ABOUT) is None


def test_the_first_key_seals_and_every_key_opens() -> None:
    by_other = OTHER.seal("secret", ABOUT)
    keys = SealingKeys([ONE, OTHER], "in gatewayd.yaml")
    sealed = keys.seal("secret", ABOUT)
    assert sealed.key_id == ONE.id != OTHER.id
    assert [keys.opened(one, ABOUT) for one in (sealed, by_other)] == ["secret"] * 2
    assert [keys.is_by_first(one) for one in (sealed, by_other)] == [True, False]


def test_a_key_that_is_missing_and_a_damaged_secret_are_told_apart() -> None:
    keys = SealingKeys([ONE], "that of /state/sealing.key")
    with pytest.raises(AuthError, match=rf"^it is sealed by the key {OTHER.id}, which is not that of /state/sealing\.key$"):
        keys.opened(OTHER.seal("secret", ABOUT), ABOUT)
    with pytest.raises(AuthError, match="is damaged, or was sealed for another one"):
        keys.opened(SealedSecret(ONE.id, b"short"), ABOUT)


def test_P9_neither_key_nor_secret_is_shown() -> None:
    keys = SealingKeys([ONE], "in gatewayd.yaml")
    assert "1111" not in f"{ONE!r} {keys!r} {ONE.id}"
    assert "secret" not in repr(keys.seal("secret", ABOUT)).replace("SealedSecret", "")


def test_the_same_text_is_the_same_key_in_every_process() -> None:
    # Pinned: what is in databases must open with every later version.
    sealed = bytes.fromhex("81abf7d62b41771845c25d37087ffc95e79c4fb003fe6e5388898292b57ea2326486518d033fd17de5c4")
    assert ONE.opened(SealedSecret("c32575f01b5aec0c", sealed), ABOUT) == "a secret of 13"
    assert ONE.id == "c32575f01b5aec0c"
    assert name_of(ABOUT) == "cb9ee7780e6a449d29f62f8b26cb010ffb4820f278aa0f464f3fd279848a6298"
