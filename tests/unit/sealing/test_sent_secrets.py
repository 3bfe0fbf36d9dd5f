"""What a page sends: the daemon alone opens it, and only as what it was sent for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd import AuthError, PermanentError
from gatewayd.sealing.keys import SealingKey, SealingKeys
from gatewayd.sealing.sent_secrets import key_id_of, seal_for

ONE, OTHER = SealingKey("1" * 32), SealingKey("2" * 32)
KEYS = SealingKeys([ONE, OTHER], "in gatewayd.yaml")
ABOUT = {"what": "password", "user": "acme/irina"}
_ABOUTS = st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=3)
_SECRETS = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


@given(secret=_SECRETS, about=_ABOUTS)
def test_the_daemon_opens_what_was_sealed_for_it(secret: str, about: dict[str, str]) -> None:
    sent = seal_for(KEYS.public_key, secret, about)
    assert KEYS.opened_sent(sent, dict(reversed(about.items()))) == secret
    assert sent.isascii()
    assert seal_for(KEYS.public_key, secret, about) != sent


@given(one=_ABOUTS, other=_ABOUTS)
def test_P9_what_was_sent_for_one_thing_opens_for_no_other(one: dict[str, str], other: dict[str, str]) -> None:
    sent = seal_for(ONE.receiver.public_key, "password", one)
    assert (ONE.receiver.opened(sent, other) == "password") is (one == other)


def test_P9_who_has_the_public_key_opens_nothing() -> None:
    sent = seal_for(ONE.receiver.public_key, "password", ABOUT)
    assert OTHER.receiver.opened(sent, ABOUT) is None
    # Also not under the other key's name.
    assert OTHER.receiver.opened(sent.replace(ONE.id, OTHER.id), ABOUT) is None
    with pytest.raises(AuthError, match="for another key"):
        SealingKeys([OTHER], "in gatewayd.yaml").opened_sent(sent, ABOUT)
    with pytest.raises(AuthError, match="for something else"):
        KEYS.opened_sent(sent, {**ABOUT, "user": "acme/bob"})


def test_a_page_that_was_opened_before_the_key_changed_can_still_send() -> None:
    sent = seal_for(SealingKeys([OTHER], "the key before").public_key, "password", ABOUT)
    assert key_id_of(sent) == OTHER.id
    assert KEYS.opened_sent(sent, ABOUT) == "password"


@given(at=st.integers(0, 200), sign=st.characters(codec="ascii"))
def test_what_was_changed_does_not_open(at: int, sign: str) -> None:
    sent = seal_for(ONE.receiver.public_key, "a secret of 13", ABOUT)
    at = at % len(sent)
    changed = sent[:at] + sign + sent[at + 1 :]
    # The id is looked at by who has several keys.
    if key_id_of(changed) == ONE.id and changed != sent:
        assert ONE.receiver.opened(changed, ABOUT) is None
    assert ONE.receiver.opened(sent[:at], ABOUT) is None


@given(text=st.text(max_size=99) | st.binary(max_size=99).map(lambda raw: f"{ONE.id}.{raw.hex()}"))
def test_any_text_is_refused_and_breaks_nothing(text: str) -> None:
    assert ONE.receiver.opened(text, ABOUT) is None


@pytest.mark.parametrize("key", ["", "x.y", "x.AAAA", f"x.{'A' * 43}=", "x.ü", f"x.{'/' * 43}="])
def test_a_key_that_is_none_is_refused(key: str) -> None:
    """The one of zeros would have everybody agree on the same secret (RFC 7748 section 6.1)."""
    with pytest.raises(PermanentError, match="no public key"):
        seal_for(key, "password", ABOUT)


def test_P9_a_public_key_is_the_same_in_every_process_and_tells_nothing() -> None:
    assert KEYS.public_key == SealingKey("1" * 32).receiver.public_key != OTHER.receiver.public_key
    assert ONE.id in KEYS.public_key
    assert "1111" not in f"{KEYS.public_key} {ONE.receiver!r}"
