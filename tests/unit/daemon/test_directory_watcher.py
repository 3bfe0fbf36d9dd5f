"""Changes in the folders of directories are told as they happen, also in folders that come, go and are replaced."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import watchfiles

from gatewayd.daemon import directory_watcher as module
from gatewayd.daemon.directory_watcher import DirectoryWatcher
from tests.unit.supervised import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest


@contextmanager
def watching(folders: set[Path]) -> Iterator[list[Path]]:
    told: list[Path] = []
    watcher = DirectoryWatcher(lambda: frozenset(folders), told.extend)
    thread = threading.Thread(target=watcher.run)
    thread.start()
    try:
        yield told
    finally:
        watcher.stop()
        thread.join(10)
        assert not thread.is_alive()


def test_every_way_in_which_a_file_changes_is_told(tmp_path: Path) -> None:
    (tmp_path / "acme").mkdir()
    file = tmp_path / "acme/persons.csv"
    with watching({tmp_path / "acme"}) as told:
        until(lambda: tmp_path / "acme" in told)
        for change in (
            lambda: file.write_text("a"),
            lambda: file.write_text("ab"),
            lambda: file.rename(tmp_path / "acme/away"),
            lambda: (tmp_path / "acme/away").rename(file),
            file.unlink,
        ):
            told.clear()
            change()
            until(lambda: file in told)


def test_a_folder_that_comes_later_is_told_and_watched(tmp_path: Path) -> None:
    folders: set[Path] = set()
    with watching(folders) as told:
        folders.add(tmp_path / "acme")
        (tmp_path / "acme").mkdir()
        until(lambda: tmp_path / "acme" in told)
        folders.add(tmp_path / "nord")
        (tmp_path / "nord").mkdir()
        until(lambda: tmp_path / "nord" in told)
        for one in ("acme", "nord"):
            (tmp_path / one / "persons.csv").touch()
            until(lambda: tmp_path / one / "persons.csv" in told)  # noqa: B023  it is over before the next one


def test_a_folder_that_is_replaced_is_watched_anew(tmp_path: Path) -> None:
    (tmp_path / "acme").mkdir()
    with watching({tmp_path / "acme"}) as told:
        until(lambda: tmp_path / "acme" in told)
        (tmp_path / "acme").rename(tmp_path / "old")
        told.clear()
        (tmp_path / "acme").mkdir()
        file = tmp_path / "acme/persons.csv"

        def told_of_a_change() -> bool:
            # What changes before the new folder is watched is told as the folder.
            file.touch()
            return file in told

        until(told_of_a_change)


def test_what_can_not_be_watched_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = [RuntimeError("no watches left"), OSError("gone")]
    watch = watchfiles.watch

    def failed(*folders: object, **more: object) -> object:
        if failing:
            raise failing.pop()
        return watch(*folders, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "watch", failed)
    monkeypatch.setattr(module, "_LATER", 0.01)
    with watching({tmp_path}) as told:
        until(lambda: tmp_path in told)
    assert failing == []
