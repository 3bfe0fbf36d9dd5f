"""Only regular files are read, and only as far as they may be large."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gatewayd import AuthError, ConfigError, Secret, tls_context
from gatewayd.api.regular_files import read_regular


@pytest.mark.parametrize("kind", ["fifo", "device", "folder", "missing", "endless"])
def test_a_file_that_never_ends_or_is_none_keeps_nobody(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "secret"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind in {"device", "endless"}:
        path = Path("/dev/zero" if kind == "endless" else "/dev/tty")
    with pytest.raises(OSError, match=r"regular file|directory|No such|device"):
        read_regular(path, 100)
    with pytest.raises(AuthError):
        Secret("file", str(path)).reveal()
    with pytest.raises(ConfigError):
        tls_context(path)


def test_a_huge_file_is_read_as_far_as_it_may_be_one(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(1 << 40)
    assert read_regular(tmp_path / "huge", 1000) == b"\0" * 1000
