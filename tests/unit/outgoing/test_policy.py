"""What one try makes of a delivery: delivered, tried again, or parked with the other side's words (promise P7)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd import AuthError, Delivery, PluginError, Receipt, Recipient, RecipientState, Taken, TransientError
from gatewayd.config import LimitsConfig
from gatewayd.message.mail import BytesSource
from gatewayd.outgoing.outbox import Policy
from gatewayd.runtime.backoff import Backoff

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
POLICY = Policy.of(LimitsConfig())


def taken(*recipients: Recipient, tries: int = 0, age: timedelta = timedelta(0)) -> Taken:
    to = recipients or (Recipient(address="duty@example.com"),)
    delivery = Delivery(
        forwarder="smtp", account="out", to=tuple(one.address for one in to), cause="rule 1", message_id="<gw.f.1@example.com>"
    )
    return Taken(
        id=7,
        operator="acme",
        user=None,
        mail_id=3,
        delivery=delivery,
        recipients=to,
        source=BytesSource(b""),
        entered_at=NOW - age,
        tries=tries,
    )


def receipt(*states: tuple[str, RecipientState, str], retry_after: float | None = None) -> Receipt:
    return Receipt(id=7, recipients=tuple(Recipient(address=a, state=s, words=w) for a, s, w in states), retry_after=retry_after)


def waits(address: str = "duty@example.com") -> Recipient:
    return Recipient(address=address)


def test_P7_what_all_have_is_delivered() -> None:
    said = receipt(("a@x.de", "delivered", "250 ok"), ("b@x.de", "delivered", ""))
    settled = POLICY.settled(taken(waits("a@x.de"), waits("b@x.de"), tries=2), said, now=NOW, jitter=0.5)
    assert (settled.id, settled.tries, settled.state, settled.words, settled.due_in) == (7, 2, "delivered", "", 0.0)
    assert settled.recipients == said.recipients


def test_P7_what_one_refuses_is_parked_with_the_words_of_the_server() -> None:
    said = receipt(("a@x.de", "delivered", ""), ("b@x.de", "refused", "550 no such user"))
    settled = POLICY.settled(taken(waits("a@x.de"), waits("b@x.de")), said, now=NOW, jitter=0.5)
    assert (settled.state, settled.words) == ("parked", "b@x.de: 550 no such user")
    assert [one.state for one in settled.recipients] == ["delivered", "refused"]


def test_words_that_end_with_an_advice_are_strung_together_without_its_full_stop() -> None:
    said = receipt(("a@x.de", "refused", "too large. Send a link."), ("b@x.de", "refused", "550 no."))
    settled = POLICY.settled(taken(waits("a@x.de"), waits("b@x.de")), said, now=NOW, jitter=0)
    assert settled.words == "a@x.de: too large. Send a link; b@x.de: 550 no."


def test_one_recipient_is_not_named_beside_its_words() -> None:
    assert POLICY.settled(taken(), receipt(("duty@example.com", "refused", "554 no")), now=NOW, jitter=0).words == "554 no"


def test_P7_one_that_refused_before_parks_what_the_others_get_only_now() -> None:
    before = Recipient(address="b@x.de", state="refused", words="550 no such user")
    settled = POLICY.settled(taken(waits("a@x.de"), before, tries=1), receipt(("a@x.de", "delivered", "")), now=NOW, jitter=0.5)
    assert (settled.state, settled.words) == ("parked", "b@x.de: 550 no such user")
    assert [one.address for one in settled.recipients] == ["a@x.de"]


def test_while_one_waits_it_waits_though_others_refused() -> None:
    said = receipt(("a@x.de", "refused", "550 no"), ("b@x.de", "waiting", "451 later"))
    settled = POLICY.settled(taken(waits("a@x.de"), waits("b@x.de")), said, now=NOW, jitter=0.5)
    assert (settled.state, settled.words, settled.due_in) == ("waiting", "b@x.de: 451 later", 60.0)
    assert [one.state for one in settled.recipients] == ["refused", "waiting"]


def test_what_says_nothing_is_named_by_its_state() -> None:
    assert POLICY.settled(taken(), receipt(("duty@example.com", "waiting", "")), now=NOW, jitter=0).words == "not taken yet"
    assert POLICY.settled(taken(), receipt(("duty@example.com", "refused", "")), now=NOW, jitter=0).words == "refused"


@pytest.mark.parametrize(("tries", "seconds"), [(0, 60), (1, 120), (2, 240), (5, 1920), (6, 3000), (40, 3000)])
def test_the_wait_doubles_from_a_minute_to_an_hour(tries: int, seconds: float) -> None:
    later = receipt(("duty@example.com", "waiting", "451"))
    assert POLICY.settled(taken(tries=tries), later, now=NOW, jitter=0.5).due_in == pytest.approx(seconds)
    assert POLICY.postponed(taken(tries=tries), "451", now=NOW, jitter=0.5).due_in == pytest.approx(seconds)


@pytest.mark.parametrize(("asked", "seconds"), [(None, 60), (7, 60), (600, 600), (86400, 3600)])
def test_the_server_may_ask_for_a_longer_wait_of_an_hour_at_most(asked: float | None, seconds: float) -> None:
    later = receipt(("duty@example.com", "waiting", "451"), retry_after=asked)
    assert POLICY.settled(taken(), later, now=NOW, jitter=0.5).due_in == pytest.approx(seconds)


@given(jitter=st.floats(0, 1), tries=st.integers(0, 10**6), backoff=st.floats(1, 86400))
def test_the_wait_is_spread_and_bounded(jitter: float, tries: int, backoff: float) -> None:
    policy = Policy.of(LimitsConfig(backoff=backoff))
    due_in = policy.postponed(taken(tries=tries), "", now=NOW, jitter=jitter).due_in
    assert 0 < due_in <= 4 * backoff * 1.0001


def test_P7_what_is_not_taken_for_five_days_is_given_up_with_the_last_words() -> None:
    old = taken(age=timedelta(days=5))
    later = receipt(("duty@example.com", "waiting", "451 try later"))
    settled = POLICY.settled(old, later, now=NOW, jitter=0)
    assert (settled.state, settled.words, settled.due_in) == ("parked", "given up after 5 days; last: 451 try later", 0.0)
    assert settled.recipients == later.recipients
    settled = POLICY.postponed(old, "no route to host", now=NOW, jitter=0, rest=9)
    assert (settled.state, settled.words) == ("parked", "given up after 5 days; last: no route to host")
    young = taken(age=timedelta(days=5) - timedelta(seconds=1))
    assert POLICY.settled(young, later, now=NOW, jitter=0).state == "waiting"


@pytest.mark.parametrize(
    ("age", "said"),
    [
        (timedelta(hours=48), "2 days"),
        (timedelta(hours=36), "36 hours"),
        (timedelta(minutes=120), "2 hours"),
        (timedelta(minutes=5), "5 minutes"),
        (timedelta(seconds=120), "2 minutes"),
        (timedelta(seconds=119), "119 seconds"),
    ],
)
def test_how_long_it_was_tried_is_said_as_people_say_it(age: timedelta, said: str) -> None:
    policy = Policy.of(LimitsConfig(give_up=60))
    assert policy.postponed(taken(age=age), "x", now=NOW, jitter=0).words == f"given up after {said}; last: x"


def test_what_waits_for_its_destination_is_due_with_the_destination() -> None:
    settled = POLICY.postponed(taken(tries=9), "connection refused", now=NOW, jitter=0.5, rest=12.5)
    assert (settled.state, settled.words, settled.due_in, settled.recipients) == ("waiting", "connection refused", 12.5, ())


def test_words_are_bounded_and_hold_no_controls() -> None:
    said = receipt(("duty@example.com", "refused", "550 a\r\nb\x00" + "c" * 5000))
    settled = POLICY.settled(taken(), said, now=NOW, jitter=0)
    for words in (settled.words, settled.recipients[0].words, POLICY.refused(taken(), "\x1b[2J" * 1000).words):
        assert len(words) <= 1000
        assert words.isprintable()


def test_a_destination_rests_longer_with_each_failure_and_long_after_a_refused_login() -> None:
    away = TransientError("connection refused")
    assert [POLICY.rest(away, failures, jitter=0.5) for failures in (1, 2, 3, 99)] == [10, 20, 40, 750]
    assert POLICY.rest(TransientError("busy", retry_after=1234), 1, jitter=0.5) == 1234
    assert POLICY.rest(PluginError("bug"), 1, jitter=0.5) == 10
    assert POLICY.rest(AuthError("wrong password"), 1, jitter=0.5) == 900
    assert Policy.of(LimitsConfig(auth_pause=7200)).rest(AuthError("no"), 1, jitter=0.5) == pytest.approx(6000)


def test_the_limits_of_the_config_are_the_policy() -> None:
    made = Policy.of(LimitsConfig(give_up=7, backoff=2, auth_pause=3))
    assert made == Policy(give_up=7, again=Backoff(first=60, longest=8), destination=Backoff(first=10, longest=2), pause=made.pause)
    assert made.pause == Backoff(first=3, longest=3600)
