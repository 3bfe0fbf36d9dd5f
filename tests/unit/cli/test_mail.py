"""A file that a command writes is whole or not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd import PermanentError
from gatewayd.cli.mail import _write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def test_a_file_that_does_not_become_whole_is_taken_away(tmp_path: Path) -> None:
    def torn() -> Iterator[bytes]:
        yield b"the first half"
        raise OSError(28, "No space left on device")

    with pytest.raises(PermanentError, match=r"part\.eml can't be written: No space left on device"):
        _write(torn(), tmp_path / "part.eml")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "old.eml").write_bytes(b"old")
    with pytest.raises(PermanentError, match=r"old\.eml can't be written: File exists"):
        _write(iter([b"new"]), tmp_path / "old.eml")
    assert (tmp_path / "old.eml").read_bytes() == b"old"
