"""The address that a person pastes: only that of the request is taken, and its code comes out as it was."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd import AuthError, ConsentRequest, GatewaydError, PermanentError, TokenSource, TokenUse
from gatewayd.sealing.asking import REDIRECT, code_of, new_request
from tests.unit.sealing.paper_authority import PaperConsent, PaperCredential, PaperOptions

OPTIONS = PaperOptions(folder="/nowhere")
USE = TokenUse(TokenSource(PaperCredential(OPTIONS)), "irina@paper.example", "paper")
CONSENT = PaperConsent(OPTIONS)
#: Fixed, since each process must give the tests the same names.
REQUEST = ConsentRequest(user=USE.user, resource=USE.resource, redirect=REDIRECT, state="s" * 43, verifier="v" * 43)


def address(base: str = REDIRECT, **parameters: str) -> str:
    return f"{base}/?{urlencode({'state': REQUEST.state} | parameters)}"


def test_every_request_is_another_one() -> None:
    one, other = new_request(USE), new_request(USE)
    assert (one.user, one.resource, one.redirect) == ("irina@paper.example", "paper", REDIRECT)
    assert len({one.state, one.verifier, other.state, other.verifier}) == 4
    # RFC 7636 section 4.1.
    assert min(map(len, (one.state, one.verifier))) >= 43


@given(st.text(min_size=1, max_size=2000).filter(lambda text: "\ud800" not in ascii(text) and ascii(text).isprintable()))
def test_the_code_comes_out_as_it_was(code: str) -> None:
    try:
        pasted = address(code=code, session_state="1")
    except UnicodeEncodeError:
        return
    assert code_of(f"  {pasted}\r\n", REQUEST, CONSENT) == code


@pytest.mark.parametrize(
    "pasted",
    [
        address(code="c"),
        address(code="c").replace("/?", "?"),
        address(code="c").removeprefix("http://"),
        # As Google ends it.
        address(code="c").removeprefix("http://") + "&iss=https://accounts.google.com&scope=https://mail.google.com/",
    ],
)
def test_it_is_taken_as_browsers_give_it(pasted: str) -> None:
    assert code_of(pasted, REQUEST, CONSENT) == "c"


@pytest.mark.parametrize(
    ("pasted", "what"),
    [
        ("", "no address that begins"),
        ("the code is 4711", "no address that begins"),
        ("http://[", "no address"),
        (address("http://localhost:1", code="c"), "no address that begins"),
        (address("https://localhost:53682", code="c"), "no address that begins"),
        (address(f"{REDIRECT}.evil.example", code="c"), "no address that begins"),
        (address("http://a@localhost:53682", code="c"), "no address that begins"),
        (address(code="c") + "x" * 20000, "no address that begins"),
        (address(code="c", state="another"), "another request"),
        (address(code="c") + f"&state={REQUEST.state}", "another request"),
        (f"{REDIRECT}/?code=c", "another request"),
        (address(), "has no code"),
        (address(code=""), "has no code"),
        (address(code="c") + "&code=d", "has no code"),
        (address(code="c") + "%FF", "no address"),
        (address(code="c") + "\udcff", "no address"),
        (address(code="c") + "&x=\udcff", "no address"),
        (f"{REDIRECT}/?code=c&state=\udcff", "no address"),
    ],
)
def test_what_is_not_the_address_of_the_request_can_be_pasted_anew(pasted: str, what: str) -> None:
    with pytest.raises(PermanentError, match=what) as raised:
        code_of(pasted, REQUEST, CONSENT)
    assert "paste it again" in raised.value.advice


def test_the_authority_s_refusal_has_its_own_words_and_only_with_the_right_state() -> None:
    with pytest.raises(AuthError, match=r"irina@paper\.example says access_denied not now"):
        code_of(address(error="access_denied", error_description="not now"), REQUEST, CONSENT)
    with pytest.raises(PermanentError, match="another request"):
        code_of(address(error="access_denied", state="another"), REQUEST, CONSENT)


@given(st.text(st.characters()))
def test_no_text_is_taken_or_breaks_it(text: str) -> None:
    for pasted in (text, f"{REDIRECT}/?{text}", f"{REDIRECT}/?state={REQUEST.state}&{text}"):
        try:
            code_of(pasted, REQUEST, CONSENT)
        except GatewaydError:
            continue
        assert "code=" in text
