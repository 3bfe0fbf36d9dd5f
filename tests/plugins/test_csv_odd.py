"""The directory ``csv`` where a file, a name or the index itself is odd for a while."""

from __future__ import annotations

import errno
import os
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatewayd import TransientError
from gatewayd.registry.guarded_directory import GuardedDirectory
from gatewayd_csv import complete_files
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


def test_an_index_that_a_full_disk_has_no_room_for_after_all_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Network drives and quotas often say so only when the file is synced."""
    write(tmp_path / "acme", persons=PERSONS)
    directory = csv_of(tmp_path / "acme", tmp_path / "state")
    fsync = os.fsync

    def full(number: int) -> None:
        if Path(f"/proc/self/fd/{number}").readlink().suffix == ".new":
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(number)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(TransientError, match="No space left on device"):
            directory.refresh()
    assert not [path for path in (tmp_path / "state").iterdir() if path.suffix != ".lock"]
    assert directory.refresh() == []


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


def test_an_index_that_breaks_from_its_first_page_on_holds_no_new_one_up(tmp_path: Path) -> None:
    folder = tmp_path / "acme"
    write(folder, persons=PERSONS)
    directory = csv_of(folder, tmp_path / "state")
    assert directory.refresh() == []
    path = tmp_path / "state/acme.index"
    path.write_bytes(b"\xff" * path.stat().st_size)
    write(folder, persons=PERSONS + "P3,Carl,carl@x.example,no\n")
    os.utime(folder / "persons.csv", (1, 1))
    assert directory.refresh() == []
    assert directory.persons({"carl@x.example"})


@pytest.mark.parametrize(("name", "column"), [("contacts", "contact_type"), ("persons", "temporary")])
def test_a_column_that_decides_is_not_lost_before_a_person_says_so(tmp_path: Path, name: str, column: str) -> None:
    """Without it nobody is a contact of any type, and temporary persons are like all others."""
    folder = tmp_path / "acme"
    files = {"persons": PERSONS, "customers": CUSTOMERS, "contacts": CONTACTS}
    write(folder, **files)
    directory = csv_of(folder, tmp_path / "state")
    assert directory.refresh() == []
    write(folder, **{name: files[name].replace(column, "category")})
    os.utime(folder / f"{name}.csv", (1, 1))
    for _ in range(2):
        (told,) = directory.refresh()
        assert told.startswith(
            f"{name}.csv:1: a column that decides is gone, {column!r}; if that is meant, `gatewayd directory load"
        )
        assert directory.contents().outdated
        assert directory.contents().contact_types == (("customer", "sales", 1),)
        assert [one.id for one in directory.persons({"anna@x.example"})["anna@x.example"]] == ["P1"]
    assert directory.accept() == []
    assert directory.contents().outdated == ""
    assert directory.refresh() == []


def test_a_column_of_a_file_that_had_no_rows_decided_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "acme"
    write(folder, persons="id,name,email,temporary\n")
    directory = csv_of(folder, tmp_path / "state")
    assert directory.refresh() == []
    write(folder, persons="id,name,email\nP1,Anna,anna@x.example\n")
    os.utime(folder / "persons.csv", (1, 1))
    assert directory.refresh() == []
    assert directory.persons({"anna@x.example"})


def test_a_column_that_is_only_shown_may_go(tmp_path: Path) -> None:
    folder = tmp_path / "acme"
    write(folder, reservations="id,code,title\nR1,B-756,Rome\n")
    directory = csv_of(folder, tmp_path / "state")
    assert directory.refresh() == []
    write(folder, reservations="id,code\nR1,B-756\nR2,B-757\n")
    os.utime(folder / "reservations.csv", (1, 1))
    assert directory.refresh() == []
    assert directory.reservations({"B-757"})


def test_a_file_server_whose_clock_is_behind_shows_no_export_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(complete_files, "_QUIET", 0.4)
    folder = tmp_path / "acme"
    path = folder / "reservations.csv"
    bookings = ["id,code\n", *(f"R{n},B-{n}\n" for n in range(40))]
    write(folder, reservations="".join(bookings[:21]))
    os.utime(path, (1, 1))
    directory = csv_of(folder, tmp_path / "state")
    assert directory.refresh() == []
    size = path.stat().st_size

    def export() -> None:
        for line in bookings[21:]:
            with path.open("a") as file:
                file.write(line)
            behind = time.time() - 30
            os.utime(path, (behind, behind))
            time.sleep(0.05)

    thread = threading.Thread(target=export)
    thread.start()
    while path.stat().st_size == size:
        time.sleep(0.01)
    seen = set()
    while thread.is_alive():
        directory.refresh()
        seen.add(len(directory.reservations({f"B-{n}" for n in range(40)})))
    thread.join()
    directory.refresh()
    seen.add(len(directory.reservations({f"B-{n}" for n in range(40)})))
    assert seen <= {20, 40}
    assert 40 in seen


def test_the_first_load_takes_no_file_that_is_half_written_and_waits_for_none_that_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(complete_files, "_QUIET", 0.4)
    folder = tmp_path / "acme"
    bookings = ["id,code\n", *(f"R{n},B-{n}\n" for n in range(40))]
    write(folder, reservations="".join(bookings[:21]))
    begun = threading.Event()

    def export() -> None:
        for line in bookings[21:]:
            with (folder / "reservations.csv").open("a") as file:
                file.write(line)
            begun.set()
            time.sleep(0.02)

    thread = threading.Thread(target=export)
    thread.start()
    begun.wait()
    directory = csv_of(folder, tmp_path / "state")
    directory.refresh()
    thread.join()
    assert len(directory.reservations({f"B-{n}" for n in range(40)})) == 40
    # What was written some seconds ago is not watched for as long once more.
    monkeypatch.setattr(complete_files, "_QUIET", 100.0)
    written = time.time() - 200
    os.utime(folder / "reservations.csv", (written, written))
    assert csv_of(folder, tmp_path / "another").refresh() == []


def test_P4_a_column_whose_name_the_kernel_would_not_take_is_a_fault_of_the_file(tmp_path: Path) -> None:
    """Else each answer from that file is refused, and the directory says that it is well."""
    folder = tmp_path / "acme"
    write(folder, persons=PERSONS)
    directory = csv_of(folder, tmp_path / "state")
    assert directory.refresh() == []
    write(folder, persons=f"id,name,email,{'c' * 5000}\nP1,Anna,anna@x.example,z\n")
    os.utime(folder / "persons.csv", (1, 1))
    (told,) = directory.refresh()
    assert told.startswith("persons.csv:1: the header line names a column twice, one of more than 999 bytes or more than 500")
    assert GuardedDirectory(directory).persons({"anna@x.example"})
