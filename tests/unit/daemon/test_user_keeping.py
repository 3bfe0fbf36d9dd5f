"""Users who leave the config have left for the store, also where that is away for a while."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from gatewayd import KnownUser, TransientError
from gatewayd.config import OperatorConfig, UserConfig
from gatewayd.daemon.user_keeping import UserKeeping
from gatewayd_sql.store import Sql
from tests.unit.log import logged
from tests.unit.outbound import Post
from tests.unit.supervised import until

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from gatewayd import Store
    from gatewayd.config import Config


class Away(Sql):
    """Can't be written for some times."""

    failures = 0

    def keep_users(self, users: Mapping[str, Collection[str]], *, unknown: Collection[str] = ()) -> Sequence[KnownUser]:
        if self.failures:
            self.failures -= 1
            raise TransientError("the store is away")
        return super().keep_users(users, unknown=unknown)


def having(post: Post, *users: str, faulty: bool = False) -> Config:
    """Return a config whose operator has these users."""
    known = {name: UserConfig(name=name, email=f"{name}@example.com") for name in users}
    return replace(post.config(), operators={"acme": OperatorConfig(name="acme", users=known, faulty=faulty)})


def here(store: Store) -> dict[str, int]:
    return {one.name: one.id for one in store.known_users() if not one.left}


def test_who_leaves_a_sound_config_has_left_before_anything_else_is_taken_over(tmp_path: Path) -> None:
    with Post(tmp_path) as post, closing(UserKeeping(post.store)) as keeping, logged() as log:
        keeping.apply(having(post, "irina", "tom"))
        first = here(post.store)
        assert list(first) == ["irina", "tom"]
        keeping.apply(having(post, faulty=True))
        assert here(post.store) == first, "a broken file lets nobody leave"
        keeping.apply(having(post, "irina"))
        assert list(here(post.store)) == ["irina"]
        assert "user left operator=acme user=tom" in log.getvalue()


def test_who_left_and_came_back_while_the_store_was_away_has_left(tmp_path: Path) -> None:
    with Post(tmp_path) as post:
        store = Away(post.store.options, place=post.store.place)
        store.open()
        with closing(store), closing(UserKeeping(store, again=0.01)) as keeping:
            keeping.apply(having(post, "irina"))
            (first,) = here(store).values()
            store.failures = 1000000
            for users in ([], ["irina"]):
                keeping.apply(having(post, *users), patience=0.0)
            assert here(store) == {"irina": first}
            store.failures = 0

            def back() -> bool:
                keeping.look()
                return here(store) not in ({"irina": first}, {})

            until(back)
