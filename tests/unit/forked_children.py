"""Children of the fork server for tests: they do what they are told."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gatewayd.runtime import forkserver

if TYPE_CHECKING:
    from collections.abc import Iterator


LONG = 60.0

SLEEP = "time.sleep(1000)"


@contextmanager
def child(does: str = "", *, heard: bool = False) -> Iterator[tuple[forkserver.Child, dict[str, Any]]]:
    """A child, and what it finds itself in."""
    ours, theirs = os.pipe()
    try:
        one = forkserver.fork("tests.unit.forked", [does], files=[theirs], heard=heard)
    finally:
        os.close(theirs)
    try:
        with os.fdopen(ours) as said:
            found = json.loads(said.readline())
        yield one, found
    finally:
        one.close()
