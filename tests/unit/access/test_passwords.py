"""Passwords: what fits, what a new one must be, and how many are worked on at once."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewayd import PermanentError, TransientError
from gatewayd.access.passwords import LEAST, Passwords, good_password
from tests.unit.access.people import CHEAP

_LONG = "four words and an ü"


def test_a_password_fits_what_was_hashed_of_it_and_nothing_else() -> None:
    passwords = Passwords()
    hashed = passwords.hashed(_LONG)
    assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=4$"), "RFC 9106, section 4, second recommended option"
    assert _LONG not in hashed
    assert passwords.hashed(_LONG) != hashed, "each has a salt of its own"
    assert passwords.fits(_LONG, hashed)
    assert not passwords.fits(_LONG.upper(), hashed)
    assert not passwords.fits(_LONG, "")
    assert not passwords.fits("", "")
    assert not passwords.fits(_LONG, "no hash at all")


def test_what_looks_the_same_is_the_same_password() -> None:
    passwords = Passwords(**CHEAP)
    composed, decomposed, ligature = "M\u00fcller and ﬁ", "Mu\u0308ller and fi", "Mu\u0308ller and ﬁ"
    hashed = passwords.hashed(good_password(decomposed))
    assert all(passwords.fits(one, hashed) for one in (composed, decomposed, ligature))


@pytest.mark.parametrize("text", ["", "a" * (LEAST - 1), "u\u0308" * (LEAST - 1), "a" * 1001, "\ufb01" * 501])
def test_what_is_too_short_or_too_long_is_no_password(text: str) -> None:
    with pytest.raises(PermanentError, match="than a password may be") as caught:
        good_password(text)
    assert "12 characters" in caught.value.advice


def test_characters_are_counted_as_they_are_hashed() -> None:
    assert good_password("ü" * LEAST) == "ü" * LEAST
    assert good_password("u\u0308" * LEAST) == "ü" * LEAST
    assert good_password(" " * LEAST) == " " * LEAST


@settings(max_examples=50)
@given(st.text(max_size=2000), st.sampled_from(["", "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$AAAA", "$"]))
def test_any_text_may_be_tried(text: str, hashed: str) -> None:
    assert not Passwords(**CHEAP).fits(text, hashed)
    assert not Passwords(**CHEAP).fits(text + "\ud800", hashed)


def test_of_many_at_once_some_are_told_to_wait_and_none_is_checked_wrongly() -> None:
    passwords = Passwords(memory_kib=32768)
    hashed = passwords.hashed(_LONG)
    with ThreadPoolExecutor(12) as threads:
        tries = [threads.submit(passwords.fits, _LONG, hashed) for _ in range(12)]
    errors = [one.exception() for one in tries]
    assert all(one.result() for one, error in zip(tries, errors, strict=True) if error is None)
    refused = [error for error in errors if error]
    assert len(refused) < 12
    assert all(isinstance(one, TransientError) and one.retry_after for one in refused)
    assert passwords.fits(_LONG, hashed), "who was turned away takes up no room"


def test_without_the_library_the_person_is_told_what_to_install() -> None:
    code = """
import sys
sys.modules["argon2"] = None
from gatewayd.access.passwords import Passwords
try:
    Passwords().prove()
except Exception as error:
    print(type(error).__name__, error.sentences)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.startswith("ConfigError")
    assert "pip install gatewayd[web]" in done.stdout
