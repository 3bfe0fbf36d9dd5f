"""Tests of every store: which users there are, who has left, and what is void then."""

# ruff: noqa: N802  tests are named after promises

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd import PermanentError, Seen, Viewer
from gatewayd.testing.contracts.custodian import make_filing, make_raw

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewayd import Store
    from gatewayd.testing.contracts.custodian import Custodian

__all__ = ["UserContract"]

_IRINA = Viewer(operator="acme", users=("irina",))


def _here(store: Store) -> dict[str, int]:
    return {f"{one.operator}/{one.name}": one.id for one in store.known_users() if not one.left}


class UserContract:
    """Part of ``StoreContract``."""

    def test_a_user_is_the_same_one_until_the_config_has_it_no_more(self, open_store: Callable[[], Store]) -> None:
        store = open_store()
        assert store.known_users() == []
        assert store.keep_users({"acme": ["irina", "tom"], "globetrot": []}) == []
        first = _here(store)
        assert list(first) == ["acme/irina", "acme/tom"]
        assert store.keep_users({"acme": ["tom", "irina"], "globetrot": ["irina"]}) == []
        assert _here(open_store()) == first | {"globetrot/irina": _here(store)["globetrot/irina"]}
        (left,) = store.keep_users({"acme": ["tom"], "globetrot": ["irina"]})
        assert (left.operator, left.name, left.left, left.id) == ("acme", "irina", True, first["acme/irina"])
        assert store.keep_users({"acme": ["tom"], "globetrot": ["irina"]}) == [], "who has left, leaves once"
        assert "acme/irina" not in _here(store)
        assert store.keep_users({"acme": ["tom", "irina"], "globetrot": ["irina"]}) == []
        assert _here(store)["acme/irina"] not in first.values(), "another one of that name"
        assert _here(store)["acme/tom"] == first["acme/tom"]

    def test_P4_a_faulty_file_lets_nobody_leave_or_come_and_a_missing_one_all_of_them(self, store: Store) -> None:
        store.keep_users({"acme": ["irina"], "globetrot": ["ivan"]})
        first = _here(store)
        assert store.keep_users({"globetrot": ["ivan"]}, unknown=["acme"]) == []
        assert store.keep_users({"acme": ["tom"], "globetrot": ["ivan"]}, unknown=["acme"]) == []
        assert _here(store) == first
        assert [one.name for one in store.keep_users({"globetrot": ["ivan"]})] == ["irina"]

    def test_a_command_knows_a_user_before_any_daemon_and_nobody_who_has_left(self, store: Store) -> None:
        tom = store.know_user("acme", "tom")
        assert store.know_user("acme", "tom") == tom
        store.keep_users({"acme": ["tom", "irina"]})
        assert store.know_user("acme", "tom") == tom
        store.keep_users({"acme": ["irina"]})
        with pytest.raises(PermanentError, match="had left"):
            store.know_user("acme", "tom")

    def test_P6_with_a_user_go_the_seen_marks_of_that_user_alone(self, store: Store, shared: Custodian) -> None:
        mail_id = shared.file("1", make_raw())
        store.keep_users({"acme": ["irina", "tom"], "globetrot": ["irina"]})
        viewers = [_IRINA, Viewer(operator="acme", users=("tom",)), Viewer(operator="globetrot", users=("irina",))]
        for one in (*viewers, Viewer(operator="acme")):
            store.show(one, "shared", mail_id)
        store.keep_users({"acme": ["tom"], "globetrot": ["irina"]})
        store.keep_users({"acme": ["irina", "tom"], "globetrot": ["irina"]})
        kept = [store.seen(one, "shared") for one in (*viewers, Viewer(operator="acme"))]
        assert kept == [Seen(), *([Seen(shown=mail_id)] * 3)]

    def test_who_had_mail_and_was_gone_before_users_were_kept_has_left(self, store: Store, shared: Custodian) -> None:
        shared.file("1", make_raw(1), make_filing("acme", user="irina"))
        shared.file("2", make_raw(2), make_filing("acme", user="tom"))
        store.keep_users({"acme": ["tom"]})
        assert [(one.name, one.left, one.withheld) for one in store.known_users()] == [
            ("irina", True, False),
            ("tom", False, False),
        ]
        store.keep_users({"acme": ["tom", "irina"]})
        assert [(one.name, one.withheld) for one in store.known_users()] == [("irina", True), ("tom", False)]
        store.keep_users({"acme": ["irina"], "globetrot": ["ivan"]})
        store.keep_users({"acme": ["irina"], "globetrot": []})
        store.keep_users({"acme": ["irina"], "globetrot": ["ivan"]})
        assert [one.name for one in store.known_users() if one.withheld] == ["irina"], "ivan had no mail"
        assert store.give_old_mail("acme", "irina")
        assert not store.give_old_mail("acme", "irina")
        assert not store.give_old_mail("acme", "nobody")
        assert not any(one.withheld for one in store.known_users())
