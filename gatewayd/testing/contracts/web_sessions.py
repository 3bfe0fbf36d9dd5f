"""Tests of every store: web sessions, when they end, and what people did."""

# ruff: noqa: N802  tests are named after promises

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, TypedDict

import pytest

from gatewayd import MOST_WEB_SESSIONS, Activity, PermanentError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewayd import Store, WebSession

__all__ = ["ActivityContract", "WebSessionContract"]


class _Times(TypedDict):
    idle: float
    longest: float


_TIMES: _Times = {"idle": 3600.0, "longest": 86400.0}


def _digest(number: int = 1) -> bytes:
    return sha256(bytes([number])).digest()


def _log_in(store: Store, user: str = "irina", number: int = 1) -> WebSession:
    known = store.know_user("acme", user)
    return store.add_web_session(known.id, _digest(number), address="192.0.2.1", agent="Firefox\0 ü", **_TIMES)


class WebSessionContract:
    """Part of ``StoreContract``."""

    def test_a_web_session_is_found_by_its_digest_alone(self, open_store: Callable[[], Store]) -> None:
        store = open_store()
        store.keep_users({"acme": ["irina", "tom"]})
        before = datetime.now(UTC) - timedelta(minutes=5)
        made = _log_in(store)
        assert (made.operator, made.user, made.address, made.agent) == ("acme", "irina", "192.0.2.1", "Firefox\ufffd ü")
        assert made.user_id == store.know_user("acme", "irina").id
        assert before < made.created_at == made.last_at < made.expires_at
        assert abs((made.expires_at - made.last_at).total_seconds() - _TIMES["idle"]) < 1
        assert open_store().web_session(_digest(), **_TIMES) == made
        assert store.web_session(_digest(2), **_TIMES) is None
        assert store.web_session(b"", **_TIMES) is None

    def test_a_web_session_ends_by_time(self, store: Store) -> None:
        store.keep_users({"acme": ["irina"]})
        made = _log_in(store)
        assert store.web_session(_digest(), idle=0, longest=86400) is None
        assert store.web_session(_digest(), idle=3600, longest=0) is None
        assert store.web_sessions("acme", idle=0, longest=86400) == []
        shorter = store.web_session(_digest(), idle=3600, longest=600)
        assert shorter is not None
        assert abs((shorter.expires_at - made.created_at).total_seconds() - 600) < 1
        # Who logs in removes all that have ended.
        irina = store.know_user("acme", "irina").id
        store.add_web_session(irina, _digest(2), address="", agent="", idle=0, longest=0)
        assert [store.web_session(_digest(number), **_TIMES) is None for number in (1, 2)] == [True, False]

    def test_a_use_is_written_once_a_minute_at_most(self, store: Store) -> None:
        store.keep_users({"acme": ["irina"]})
        made = _log_in(store)
        store.touch_web_session(_digest())
        store.touch_web_session(_digest(2))
        assert store.web_session(_digest(), **_TIMES) == made

    def test_a_web_session_ends_by_the_person_or_by_who_looks_after_the_operator(self, store: Store) -> None:
        store.keep_users({"acme": ["irina", "tom"], "globetrot": ["irina"]})
        first, second, third = (_log_in(store, "irina", number) for number in (1, 2, 3))
        toms = _log_in(store, "tom", 4)
        assert {one.number for one in store.web_sessions("acme", "irina", **_TIMES)} == {
            one.number for one in (first, second, third)
        }
        assert toms in store.web_sessions("acme", **_TIMES)
        assert not store.end_web_session("acme", toms.number, user="irina"), "it is not hers"
        assert not store.end_web_session("globetrot", toms.number)
        assert store.end_web_sessions("globetrot", "irina") == 0
        assert store.end_web_session("acme", first.number, user="irina")
        assert not store.end_web_session("acme", first.number, user="irina")
        assert store.end_web_sessions("acme", "irina", but=third.number) == 1
        assert store.web_sessions("acme", "irina", **_TIMES) == [third]
        assert store.end_web_session("acme", toms.number)
        assert store.end_web_sessions("acme", "irina") == 1
        assert store.web_sessions("acme", **_TIMES) == []

    def test_P6_with_a_user_go_the_web_sessions_of_that_user(self, store: Store) -> None:
        store.keep_users({"acme": ["irina", "tom"]})
        irina = _log_in(store)
        toms = _log_in(store, "tom", 2)
        store.keep_users({"acme": ["tom"]})
        assert store.web_session(_digest(), **_TIMES) is None
        with pytest.raises(PermanentError, match="left"):
            store.add_web_session(irina.user_id, _digest(3), address="", agent="", **_TIMES)
        store.keep_users({"acme": ["irina", "tom"]})
        assert store.web_session(_digest(), **_TIMES) is None, "another one of that name"
        assert store.web_sessions("acme", **_TIMES) == [toms]

    def test_who_logs_in_too_often_ends_what_was_unused_for_longest(self, store: Store) -> None:
        store.keep_users({"acme": ["irina"]})
        made = [_log_in(store, "irina", number) for number in range(MOST_WEB_SESSIONS + 2)]
        assert {one.number for one in store.web_sessions("acme", **_TIMES)} == {one.number for one in made[2:]}


class ActivityContract:
    """Part of ``StoreContract``."""

    def test_what_people_did_is_kept_and_is_their_operators(self, open_store: Callable[[], Store]) -> None:
        store = open_store()
        opened = Activity(operator="acme", who="irina", what="opened", mail_id=7, address="192.0.2.1")
        linked = Activity(operator="acme", who="tom", what="linked", mail_id=7, detail="customer C-1\0")
        store.note_activities([opened, linked])
        store.note_activities([])
        store.note_activities([Activity(operator="globetrot", who="ivan", what="logged in")])
        second, first = open_store().activities("acme")
        assert first.at is not None
        assert first == replace(opened, id=first.id, at=first.at)
        assert second == replace(linked, id=second.id, at=second.at, detail="customer C-1\ufffd")
        assert [one.who for one in store.activities("acme", who="irina")] == ["irina"]
        assert [one.who for one in store.activities("acme", mail_id=7, limit=1)] == ["tom"]
        assert [one.who for one in store.activities("acme", before=second.id)] == ["irina"]
        assert [one.who for one in store.activities("globetrot")] == ["ivan"]

    def test_what_a_user_did_stays_when_the_user_leaves(self, store: Store) -> None:
        store.keep_users({"acme": ["irina"]})
        store.note_activities([Activity(operator="acme", who="irina", what="logged in")])
        store.keep_users({"acme": []})
        assert [one.who for one in store.activities("acme")] == ["irina"]
