"""The directory ``csv`` where a file, a name or the index itself is odd for a while."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.plugins.test_csv import CONTACTS, CUSTOMERS, PERSONS, csv_of, write

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = 65534


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may read everything."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(was)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may look into."""
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        top.chmod(0o755)
        (top / "state").mkdir()
        (top / "state").chmod(0o777)
        yield top


def test_a_file_that_may_be_read_again_is_read_though_it_has_not_changed(open_folder: Path) -> None:
    """Nothing of its size, time and inode changes by that: an export that root wrote, or a network that failed for a moment."""
    folder = open_folder / "acme"
    write(folder, persons=PERSONS)
    folder.chmod(0o755)
    directory = csv_of(folder, open_folder / "state")
    with as_nobody():
        assert directory.refresh() == []
    path = folder / "persons.csv"
    path.write_text(PERSONS + "P3,Carl,carl@x.example,no\n")
    os.utime(path, (1, 1))
    path.chmod(0)
    with as_nobody():
        (told,) = directory.refresh()
        assert "it can't be read: Permission denied" in told
    path.chmod(0o644)
    with as_nobody():
        assert directory.refresh() == []
    assert directory.persons({"carl@x.example"})


def test_an_index_that_is_broken_somewhere_holds_no_new_one_up(tmp_path: Path) -> None:
    folder = tmp_path / "acme"
    desks = CONTACTS + "".join(f"customer,C1,EMAIL,d{n}@x.example,sales\n" for n in range(20_000))
    write(folder, persons=PERSONS, customers=CUSTOMERS, contacts=desks)
    directory = csv_of(folder, tmp_path / "state")
    assert directory.refresh() == []
    directory.close()
    path = tmp_path / "state/acme.index"
    data = path.read_bytes()
    # One page of the contacts themselves; what is asked first stands on others.
    page = data.index(b"EMAILd15000@x.example") // 8192 * 8192
    path.write_bytes(data[:page] + b"\xff" * 8192 + data[page + 8192 :])
    directory = csv_of(folder, tmp_path / "state")
    directory.follow()
    assert directory.persons({"anna@x.example"})
    write(folder, persons=PERSONS + "P3,Carl,carl@x.example,no\n")
    os.utime(folder / "persons.csv", (1, 1))
    assert directory.refresh() == []
    assert directory.persons({"carl@x.example"})
    assert directory.contacts({"d15000@x.example"})
