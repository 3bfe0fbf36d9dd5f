"""Which accounts a user may see and follows: general ones, the own, and what is shared by a file or its user."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd import Transport, Viewer
from gatewayd.config import AccountConfig, ImportConfig
from gatewayd.desk.following import accounts_seen, following, viewer_of
from tests.unit.outbound import Post

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatewayd.config import Config


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    with Post(tmp_path) as one:
        one.accounts = {
            "desk": _account("desk", "acme", "globetrot"),
            "nord": _account("nord", "globetrot"),
            "irina": _account("irina", "acme", user="irina", share=("tom",)),
            "tom": _account("tom", "acme", user="tom"),
            "ann": _account("ann", "acme", user="ann"),
        }
        yield one


def _account(name: str, *operators: str, user: str | None = None, share: tuple[str, ...] = ()) -> AccountConfig:
    options, imports = Transport.Options(), ImportConfig()
    return AccountConfig(name=name, kind="fake", operators=operators, user=user, share=share, options=options, imports=imports)


def _shown(post: Post, config: Config, user: str) -> list[tuple[str, str, str | None, bool]]:
    viewer = viewer_of(config, "acme", [user])
    return [(one.account, one.kind, one.owner, one.followed) for one in following(config, post.store, viewer)]


def test_P6_a_user_may_see_general_accounts_the_own_and_shared_ones(post: Post) -> None:
    config = post.config()
    general, own = ("desk", "general", None, True), ("tom", "own", "tom", True)
    assert _shown(post, config, "tom") == [general, own, ("irina", "shared", "irina", True)]
    assert _shown(post, config, "ann") == [general, ("ann", "own", "ann", True)]
    ann = Viewer(operator="acme", users=("ann",))
    post.store.ask_share(Viewer(operator="acme", users=("tom",)), "ann", owner="ann")
    assert "ann" not in accounts_seen(config, post.store, viewer_of(config, "acme", ["tom"])), "to ask shows nothing"
    post.store.answer_share(ann, "ann", user="tom", agree=True)
    post.store.answer_share(ann, "irina", user="tom", agree=True)
    assert ("ann", "shared", "ann", True) in _shown(post, config, "tom")
    post.accounts["irina"] = _account("irina", "acme", user="irina")
    assert "irina" not in accounts_seen(post.config(), post.store, viewer_of(post.config(), "acme", ["tom"])), "it is not ann's"
    assert [*accounts_seen(config, post.store, viewer_of(config, "acme", []))] == ["desk"]
    assert [*accounts_seen(config, post.store, viewer_of(config, "globetrot", ["tom"]))] == ["desk", "nord"]


def test_what_is_not_followed_may_still_be_seen(post: Post) -> None:
    config = post.config()
    tom = viewer_of(config, "acme", ["tom"])
    post.store.follow(tom, "desk", followed=False)
    assert ("desk", "general", None, False) in _shown(post, config, "tom")
    assert "desk" in accounts_seen(config, post.store, tom)
    post.store.follow(tom, "ann", followed=True)
    assert "ann" not in accounts_seen(config, post.store, tom), "to follow shows nothing"
