"""A dispatcher at work for tests."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gatewayd.outgoing.dispatcher import Dispatcher
from gatewayd.outgoing.outbox import Policy
from gatewayd.runtime.backoff import Backoff
from tests.patience import AT_ONCE, LONG
from tests.unit.heard import events

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewayd import Store
    from tests.unit.outbound import Post


QUICK = Policy(
    give_up=3600,
    again=Backoff(first=0.05, longest=0.2),
    destination=Backoff(first=0.1, longest=0.2),
    pause=Backoff(first=3600, longest=3600),
)


@contextmanager
def posting(post: Post, **fields: Any) -> Iterator[Dispatcher]:
    """A posting that works, and is stopped at once."""
    heard = events(delivery_settled=lambda *one: post.told.append(one))
    made = Dispatcher(post.store, post.owner, heard, **({"policy": QUICK} | fields))
    made.apply(post.config())
    yield made
    began = time.monotonic()
    assert made.stop(LONG) == 0
    assert time.monotonic() - began < AT_ONCE


class Once(dict[int, Any]):
    """What a server says the first time."""

    def get(self, key: int, default: Any = None) -> Any:
        return self.pop(key, default)


class Away:
    """A store whose verbs can be made to fail."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.fails: dict[str, Exception] = {}
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        if name == "destinations":
            self.asked += 1
        if name in self.fails:
            raise self.fails[name]
        return getattr(self.store, name)
