"""Files are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gatewayd.runtime.atomic_files import replace_file, write_file


def test_a_file_has_the_rights_that_were_asked_for_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_file(tmp_path / "secret", b"s")
        write_file(tmp_path / "unit", b"u", mode=0o644)
    finally:
        os.umask(before)
    assert [(path.name, path.stat().st_mode & 0o777, path.read_bytes()) for path in sorted(tmp_path.iterdir())] == [
        ("secret", 0o600, b"s"),
        ("unit", 0o644, b"u"),
    ]


@pytest.mark.parametrize(("replace", "held"), [(True, b"new"), (False, b"old")])
def test_a_file_that_exists_is_replaced_or_kept(tmp_path: Path, replace: bool, held: bytes) -> None:  # noqa: FBT001
    write_file(tmp_path / "a", b"old")
    write_file(tmp_path / "a", b"new", replace=replace)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == held


@pytest.mark.parametrize("replace", [True, False])
def test_what_can_not_be_written_leaves_nothing_behind(
    tmp_path: Path,
    replace: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_file(tmp_path / "a", b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_file(tmp_path / "a", b"new", replace=replace)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_the_content_is_on_the_disk_before_the_name_is_and_the_name_before_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.new").write_bytes(b"new")
    synced = []

    def fsync(number: int) -> None:
        synced.append((str(Path(f"/proc/self/fd/{number}").readlink()), (tmp_path / "a").exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    replace_file(tmp_path / "a.new", tmp_path / "a")
    assert synced == [(str(tmp_path / "a.new"), False), (str(tmp_path), True)]
