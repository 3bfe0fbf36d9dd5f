"""Who has a token, and what that person may do: as config and store say at that moment."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gatewayd import ROLES, Viewer
from gatewayd.access.people import may, person_of
from gatewayd.access.tokens import digest_of, new_token
from gatewayd.config import WebConfig
from tests.unit.access.people import user, without

if TYPE_CHECKING:
    from gatewayd import Role, Store
    from gatewayd.config import Config


def _token(config: Config, store: Store, operator: str = "acme", name: str = "irina") -> str:
    token, times = new_token(), config.web.sessions
    digest = digest_of(token)
    assert digest
    who = store.know_user(operator, name).id
    store.add_web_session(who, digest, address="192.0.2.1", agent="Firefox", idle=times.idle, longest=times.longest)
    return token


@pytest.mark.parametrize(("name", "role"), [("irina", "agent"), ("tom", "reader"), ("ann", "manager")])
def test_P6_a_token_gives_the_person_with_role_and_view(config: Config, store: Store, name: str, role: Role) -> None:
    person = person_of(config, store, _token(config, store, name=name))
    assert person is not None
    assert (person.operator, person.user, person.role) == ("acme", name, role)
    assert person.viewer == Viewer(operator="acme", users=(name,))
    assert (person.web_session.operator, person.web_session.user) == ("acme", name)


def test_P6_users_of_one_name_are_two_persons(config: Config, store: Store) -> None:
    tokens = [_token(config, store, operator) for operator in ("acme", "globetrot")]
    found = [person_of(config, store, token) for token in tokens]
    assert [one and (one.operator, one.viewer.operator) for one in found] == [("acme", "acme"), ("globetrot", "globetrot")]


def test_no_token_and_a_strange_one_give_nobody(config: Config, store: Store) -> None:
    _token(config, store)
    assert [person_of(config, store, token) for token in ("", "a", "ä" * 43, new_token())] == [None] * 4


def test_a_person_ends_with_the_user_in_config_or_store(config: Config, store: Store) -> None:
    token = _token(config, store)
    gone = without(config, "acme", "irina")
    assert person_of(gone, store, token) is None, "also before the daemon has told the store"
    assert person_of(replace(config, operators={}), store, token) is None
    assert person_of(config, store, token), "a faulty file that is mended logs nobody out"
    store.keep_users({name: tuple(one.users) for name, one in gone.operators.items()})
    store.keep_users({name: tuple(one.users) for name, one in config.operators.items()})
    assert person_of(config, store, token) is None, "who comes back is another one"


def test_roles_and_times_count_as_the_config_has_them_now(config: Config, store: Store) -> None:
    token = _token(config, store)
    acme = replace(config.operators["acme"], users={"irina": user("irina", role="manager")})
    promoted = person_of(replace(config, operators={"acme": acme}), store, token)
    assert promoted
    assert promoted.role == "manager"
    shorter = replace(config, web=WebConfig.model_validate({"sessions": {"idle": 60, "longest": 60}}))
    person = person_of(shorter, store, token)
    assert person
    assert (person.web_session.expires_at - person.web_session.last_at).total_seconds() <= 61


def test_each_role_may_what_those_before_it_may() -> None:
    table = [[may(role, needed) for needed in ROLES] for role in ROLES]
    assert table == [[True, False, False], [True, True, False], [True, True, True]]
