"""Calls that begin and end web sessions and change what a person logs in with, as the daemon answers them."""

from __future__ import annotations

import json
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from gatewayd.access.codes import one_time_code
from gatewayd.access.kept_passwords import give_password
from gatewayd.access.log_in import Authenticator
from gatewayd.access.passwords import Passwords
from gatewayd.access.people import person_of
from gatewayd.desk import Desk
from gatewayd.matching import LocalMatching
from gatewayd.rpc import calls
from gatewayd.rpc.answering import Answering
from gatewayd.rpc.tools import Tools
from gatewayd.testing.contracts.custodian import Custodian, make_filing, make_raw
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
        give_password(config, store, "acme", "irina", _PASSWORD, passwords=passwords)
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


def test_a_person_changes_the_password_by_the_old_one(answering: Answering) -> None:
    token, other = _token(answering), _token(answering)
    change = calls.ChangePassword(token=token, old=_PASSWORD, new="another good horse")
    assert _answer(answering, calls.ChangePassword(token=token, old="wrong", new="another good horse"))["error"] == "permanent"
    assert _answer(answering, change) == {}
    assert [_is_in(answering, one) for one in (token, other)] == [True, False]
    assert "horse" not in repr(change)


def test_a_second_factor_is_set_up_and_ended_by_who_knows_the_password(answering: Answering) -> None:
    token = _token(answering)
    assert _answer(answering, calls.SetUpFactor(token=token, password="wrong"))["error"] == "permanent"
    made = _answer(answering, calls.SetUpFactor(token=token, password=_PASSWORD))
    assert str(made["secret"]) in str(made["uri"])
    assert _answer(answering, calls.ConfirmFactor(token=token, code="no code"))["error"] == "permanent"
    code = one_time_code(str(made["secret"]), int(time.time()) // 30)
    codes = _answer(answering, calls.ConfirmFactor(token=token, code=code))["codes"]
    assert isinstance(codes, list)
    log_in = calls.LogIn(name="acme/irina", password=_PASSWORD, address="192.0.2.2")
    assert _answer(answering, log_in)["error"] == "permanent"
    assert "token" in _answer(answering, log_in.model_copy(update={"code": codes[0]}))
    assert _answer(answering, calls.RenewRecoveryCodes(token=token, password="wrong"))["error"] == "permanent"
    new = _answer(answering, calls.RenewRecoveryCodes(token=token, password=_PASSWORD))["codes"]
    assert isinstance(new, list)
    assert "error" in _answer(answering, log_in.model_copy(update={"code": codes[1]}))
    assert "token" in _answer(answering, log_in.model_copy(update={"code": new[1]}))
    assert _answer(answering, calls.EndFactor(token=token, password="wrong"))["error"] == "permanent"
    assert _answer(answering, calls.EndFactor(token=token, password=_PASSWORD)) == {"changed": 1}
    assert "token" in _answer(answering, log_in)
    assert answering.tools
    changed = [one.detail for one in answering.tools.store.activities("acme") if one.what == "changed"]
    assert changed == ["second factor ended", "recovery codes", "second factor set up"]


def test_P6_who_read_what_is_noted_for_mail_that_the_person_may_see(answering: Answering) -> None:
    token = _token(answering)
    assert answering.tools
    store = answering.tools.store
    hand = Custodian.of(store)
    mine = hand.file("1", make_raw(1))
    toms = hand.file("2", make_raw(2), make_filing("acme", user="tom"))
    assert _answer(answering, calls.NoteReading(token=token, what="opened", mail_id=mine)) == {}
    assert _answer(answering, calls.NoteReading(token=token, what="downloaded", mail_id=mine, detail="offer.pdf")) == {}
    assert _answer(answering, calls.NoteReading(token=token, what="opened", mail_id=toms))["error"] == "permanent"
    assert _answer(answering, calls.NoteReading(token=token, what="opened", mail_id=99))["error"] == "permanent"
    found = [(one.what, one.mail_id, one.detail, one.address) for one in store.activities("acme")][:-1]
    assert found == [("downloaded", mine, "offer.pdf", "192.0.2.1"), ("opened", mine, "", "192.0.2.1")]
