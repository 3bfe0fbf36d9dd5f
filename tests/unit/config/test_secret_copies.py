"""Which copy of a secret a daemon has: told without a word of it, seen when it changes, and compared by others."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path  # noqa: TC003  pydantic reads it
from typing import TYPE_CHECKING, Any

import pytest

from gatewayd.api.options import Secret
from gatewayd.config.secret_copies import SecretCopies, SecretCopy, copies_of, mark, new_key
from gatewayd.runtime.instance import Instance

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Instance]:
    with Instance(tmp_path, "daemon") as made:
        yield made


def secret(folder: Path, name: str, text: str | None) -> Secret:
    if text is not None:
        (folder / name).write_text(text)
    return Secret(by="file", name=str(folder / name))


def test_two_marks_tell_a_change_and_nothing_where_either_is_unknown(tmp_path: Path) -> None:
    key, now = new_key(), datetime.now(UTC)
    one = secret(tmp_path, "one", "a\n")
    copies = SecretCopies(key, {str(one): SecretCopy(since=now, mark=mark(one, key))})
    assert not copies.is_other(one)
    (tmp_path / "one").write_text("a")
    assert not copies.is_other(one), "a newline at the end is none of it"
    (tmp_path / "one").write_text("b")
    assert copies.is_other(one)
    (tmp_path / "one").unlink()
    assert not copies.is_other(one), "nothing to compare with"
    assert not copies.is_other(secret(tmp_path, "two", "a")), "the daemon says nothing of it"
    assert SecretCopies(key, {str(one): SecretCopy(since=now, mark="")}).is_other(secret(tmp_path, "one", "a")), (
        "the daemon lacks it"
    )


KEY = "00" * 32
BAD: list[Any] = [
    None,
    [],
    {},
    {"key": "zz", "copies": {}},
    {"key": KEY, "copies": [1]},
    {"key": KEY, "copies": {"!file x": 1}},
    {"key": KEY, "copies": {"!file x": [1e300, "ab"]}},
    {"key": 7, "copies": {}},
    {"key": "00" * 65, "copies": {}},
    {"key": "", "copies": {}},
]


@pytest.mark.parametrize("bad", [*map(json.dumps, BAD), "", "{", "\x00", "[" * 100_000])
def test_what_a_daemon_tells_is_left_alone_where_it_can_not_be_read(tmp_path: Path, owner: Instance, bad: str) -> None:
    owner.write("secrets.json", bad)
    assert copies_of(tmp_path) == {}
