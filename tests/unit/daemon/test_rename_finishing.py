"""A daemon finishes renames whose files are done, as soon as it has let go of what they name."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from gatewayd.config import OperatorConfig, UserConfig
from gatewayd.daemon.rename_finishing import RenameFinishing
from gatewayd.testing.contracts.custodian import Custodian, nobody_is_dead
from tests.unit.log import logged
from tests.unit.outbound import Post
from tests.unit.supervised import until

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd.config import Config


def having(post: Post, *accounts: str, users: tuple[str, ...] = ()) -> Config:
    """Return a config with the files of these accounts, and an operator with these users."""
    known = {name: UserConfig(name=name, email=f"{name}@example.com") for name in users}
    digests = {"gatewayd.yaml": "", "operators/acme.yaml": "", **{f"accounts/{name}.yaml": "" for name in accounts}}
    return replace(post.config(), digests=digests, operators={"acme": OperatorConfig(name="acme", users=known)})


def done(post: Post) -> dict[str, bool]:
    return {one.old: one.done_at is not None for one in post.store.renames()}


def looked(finishing: RenameFinishing, post: Post) -> dict[str, bool]:
    finishing.look()
    return done(post)


def test_an_account_is_renamed_once_its_files_are_done_and_nobody_works_on_it(tmp_path: Path) -> None:
    hurried: list[str] = []
    with Post(tmp_path) as post, logged() as log:
        shared = Custodian.of(post.store, "sales")
        shared.enter("1")
        post.store.intend_rename("account", "sales", "orders", who="anna")
        with closing(RenameFinishing(post.store, nobody_is_dead, hurried.extend, again=0.01)) as finishing:
            finishing.apply(having(post, "sales"))
            finishing.apply(having(post, "sales", "orders"))
            assert done(post) == {"sales": False}, "the files are not done"
            finishing.apply(having(post, "orders"))
            assert done(post) == {"sales": False}, "it is being worked on"
            post.store.release(shared.lease)
            until(lambda: looked(finishing, post) == {"sales": True})
            until(lambda: hurried == ["orders"])
            assert "renamed kind=account old=sales new=orders kept=0" in log.getvalue()
            # Somebody makes another account of that name.
            finishing.apply(having(post, "orders", "sales"))
            assert done(post) == {}


def test_a_user_s_new_name_is_finished_at_once_and_the_old_one_is_free_when_both_are_gone(tmp_path: Path) -> None:
    with Post(tmp_path) as post, closing(RenameFinishing(post.store, nobody_is_dead, lambda _: None)) as finishing:
        post.store.keep_users({"acme": ["irina"]})
        post.store.intend_rename("user", "acme/irina", "acme/nina", who="anna")
        finishing.apply(having(post, users=("nina",)))
        assert done(post) == {"acme/irina": True}
        finishing.apply(having(post, users=("irina",)))
        assert done(post) == {"acme/irina": True}, "a config of before"
        finishing.apply(having(post))
        assert done(post) == {}
