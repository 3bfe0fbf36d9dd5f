"""Calls that begin and end web sessions, as the daemon answers them."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from gatewayd.access.log_in import Authenticator
from gatewayd.access.passwords import Passwords
from gatewayd.access.people import person_of
from gatewayd.desk import Desk
from gatewayd.matching import LocalMatching
from gatewayd.rpc import calls
from gatewayd.rpc.answering import Answering
from gatewayd.rpc.tools import Tools
from tests.unit.access.people import CHEAP, house, opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PASSWORD = "correct horse battery"


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[Answering]:
    config = house(tmp_path)
    with closing(opened(config)) as store:
        passwords = Passwords(**CHEAP)
        store.keep_password(store.know_user("acme", "irina").id, passwords.hashed(_PASSWORD))
        found = Answering()
        desk = Desk(store=store, matching=lambda: LocalMatching(config.registry), specs={})
        found.tools = Tools(config=config, store=store, desk=desk, authenticator=Authenticator(store, passwords=passwords))
        yield found


def _answer(answering: Answering, call: calls.Call | calls.LogIn) -> dict[str, object]:
    found: dict[str, object] = json.loads(answering.answer(call.model_dump_json().encode()))
    return found


def _token(answering: Answering) -> str:
    call = calls.LogIn(name="acme/irina", password=_PASSWORD, address="192.0.2.1", agent="Firefox")
    return str(_answer(answering, call)["token"])


def _is_in(answering: Answering, token: str) -> bool:
    assert answering.tools
    return person_of(answering.tools.config, answering.tools.store, token) is not None


def test_who_logs_in_gets_a_token_that_lasts_until_the_log_out(answering: Answering) -> None:
    token = _token(answering)
    assert _is_in(answering, token)
    assert _answer(answering, calls.StayLoggedIn(token=token)) == {}
    assert _answer(answering, calls.LogOut(token=token)) == {}
    assert not _is_in(answering, token)
    assert _answer(answering, calls.LogOut(token=token))["error"] == "auth"
    assert answering.tools
    assert [one.what for one in answering.tools.store.activities("acme")] == ["logged out", "logged in"]


def test_a_wrong_password_gives_no_token_and_no_secret_back(answering: Answering) -> None:
    call = calls.LogIn(name="acme/irina", password="wrong horse battery", address="192.0.2.1")
    found = _answer(answering, call)
    assert found["error"] == "permanent"
    assert "horse" not in json.dumps(found)
    assert "horse" not in repr(call)
    ends = [_answer(answering, call)["error"] for _ in range(30)]
    assert ends[-1] == "transient"


def test_a_person_ends_the_other_web_sessions(answering: Answering) -> None:
    first, second, third = (_token(answering) for _ in range(3))
    assert answering.tools
    person = person_of(answering.tools.config, answering.tools.store, first)
    assert person
    assert _answer(answering, calls.EndWebSessions(token=third, number=person.web_session.number)) == {"changed": 1}
    assert _answer(answering, calls.EndWebSessions(token=third)) == {"changed": 1}
    assert [_is_in(answering, one) for one in (first, second, third)] == [False, False, True]
