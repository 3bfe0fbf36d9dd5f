"""What is lost of the files is a fault, not news: the last good index stays in use until they are whole, or a person says so."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewayd import ConfigError, Directory
from gatewayd_csv import complete_files
from gatewayd_csv.tables import stamps
from tests.plugins.test_csv import CONTACTS, CUSTOMERS, PERSONS, csv_of, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gatewayd_csv.directory import Csv

PEOPLE = "id,name,email\n" + "".join(f"P{n},Person {n},p{n}@x.example\n" for n in range(10))
DESKS = "owner_kind,owner_id,type,value,contact_type\n" + "".join(f"customer,C1,EMAIL,d{n}@x.example,sales\n" for n in range(10))


@pytest.fixture(autouse=True, scope="module")
def _quickly() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(complete_files, "_QUIET", 0.05)
        patch.setattr(complete_files, "_QUIET_SHORTER", 0.1)
        patch.setattr(complete_files, "_LOOK", 0.01)
        yield


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "acme", persons=PEOPLE, customers=CUSTOMERS, contacts=DESKS)
    return tmp_path / "acme"


@pytest.fixture
def directory(folder: Path, tmp_path: Path) -> Csv:
    directory = csv_of(folder, tmp_path / "state")
    assert directory.refresh() == []
    assert directory.contents().outdated == ""
    return directory


def whole(directory: Directory) -> bool:
    """Whether it answers from all that was there at first."""
    desks = directory.contacts({f"d{n}@x.example" for n in range(10)})
    return len(desks) == 10 and len(directory.persons({f"p{n}@x.example" for n in range(10)})) == 10


LOSSES: dict[str, Callable[[Path], object]] = {
    "gone": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "header only": lambda path: path.write_bytes(path.read_bytes().partition(b"\n")[0] + b"\n"),
    "a fraction": lambda path: path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:5])),
    "cut in a row": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 3]),
    "latin-1": lambda path: path.write_bytes(path.read_bytes().replace(b"P", b"P\xfc").replace(b"sales", b"s\xe4les")),
    "utf-16": lambda path: path.write_bytes(path.read_bytes().decode().encode("utf-16")),
    "utf-16 without its mark": lambda path: path.write_bytes(path.read_bytes().decode().encode("utf-16-le")),
    "semicolons": lambda path: path.write_bytes(path.read_bytes().replace(b",", b";")),
    "tabs": lambda path: path.write_bytes(path.read_bytes().replace(b",", b"\t")),
    "another column": lambda path: path.write_bytes(
        path.read_bytes().replace(b"email", b"e-mail", 1).replace(b"value", b"values", 1)
    ),
    "a slip in the name": lambda path: path.rename(path.with_name(path.name.replace("s.csv", ".csv"))),
    "zeros": lambda path: path.write_bytes(b"\0" * path.stat().st_size),
    "another system's line ends": lambda path: path.write_bytes(path.read_bytes().replace(b"\n", b"\r")),
    "a word for Excel": lambda path: path.write_bytes(b"sep=,\n" + path.read_bytes()),
    "a pipe": lambda path: subprocess.run(["bash", "-c", 'rm "$1"; mkfifo "$1"', "bash", str(path)], check=True),
}
SAYS = {
    "gone": "the file is gone",
    "empty": "the header line lacks",
    "header only": "it has 0 good rows and had 10",
    "a fraction": "it has 4 good rows and had 10",
    "cut in a row": "good rows and had 10",
    "latin-1": "it is not UTF-8, so this row is left out; save the file as UTF-8",
    "utf-16": "is not UTF-8 but UTF-16: save the file as UTF-8",
    "utf-16 without its mark": "it looks like UTF-16: save the file as UTF-8",
    "semicolons": "its columns are separated by semicolons",
    "tabs": "its columns are separated by tabs",
    "another column": "meant for",
    "a slip in the name": "the file is gone",
    "zeros": "the header line lacks",
    "another system's line ends": "its lines end in a carriage return alone",
    "a word for Excel": "its first line is a word for Excel",
    "a pipe": "it is no file",
}


@pytest.mark.parametrize("name", ["persons.csv", "contacts.csv"])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_is_told_with_its_file_and_what_was_before_stays_in_use_until_it_is_mended(
    folder: Path, directory: Csv, tmp_path: Path, loss: str, name: str
) -> None:
    before = directory.contents()
    content = (folder / name).read_bytes()
    LOSSES[loss](folder / name)
    for asked in (directory, directory, csv_of(folder, tmp_path / "state")):
        told = asked.refresh()
        assert SAYS[loss] in "".join(told), told
        assert all(text.startswith((name, f"{folder}/{name}")) for text in told), told
        assert told[0].endswith("; what the files were before stays in use")
        assert asked.contents().outdated
        assert asked.contents().version == before.version
        assert whole(asked)
    for path in folder.glob(f"{name.removesuffix('s.csv')}*"):
        path.unlink()
    (folder / name).write_bytes(content)
    assert directory.refresh() == []
    assert directory.contents().outdated == ""
    assert whole(directory)


@pytest.mark.parametrize("loss", ["gone", "header only", "a fraction"])
def test_a_person_can_say_that_the_loss_is_meant(folder: Path, directory: Csv, loss: str) -> None:
    LOSSES[loss](folder / "contacts.csv")
    (told,) = directory.refresh()
    assert "`gatewayd directory load --operator acme --accept`" in told
    assert directory.accept() == []
    assert directory.contents().outdated == ""
    assert not whole(directory)
    assert directory.refresh() == []


def test_what_can_not_be_read_is_not_accepted_either(folder: Path, directory: Csv) -> None:
    (folder / "contacts.csv").write_bytes(b"")
    (told,) = directory.accept()
    assert "lacks" in told
    assert whole(directory)


def test_half_of_the_rows_may_go(folder: Path, directory: Csv) -> None:
    (folder / "contacts.csv").write_text("".join(DESKS.splitlines(keepends=True)[:6]))
    assert directory.refresh() == []
    assert len(directory.contacts({f"d{n}@x.example" for n in range(10)})) == 5


def test_a_folder_that_is_away_leaves_its_records_in_use(folder: Path, directory: Csv) -> None:
    folder.rename(folder.with_name("away"))
    with pytest.raises(ConfigError, match="there is no such folder"):
        directory.refresh()
    assert directory.contents().outdated
    assert whole(directory)
    folder.with_name("away").rename(folder)
    assert directory.refresh() == []
    assert directory.contents().outdated == ""


@pytest.mark.parametrize("way", ["grows", "is deleted and written anew", "is emptied and written anew"])
def test_an_export_that_takes_its_time_is_never_seen_in_part(
    folder: Path, directory: Csv, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(complete_files, "_QUIET", 0.3)
    monkeypatch.setattr(complete_files, "_QUIET_SHORTER", 0.5)
    path = folder / "contacts.csv"
    more = DESKS + "".join(f"customer,C1,EMAIL,e{n}@x.example,sales\n" for n in range(10))

    def export() -> None:
        if way == "is deleted and written anew":
            path.unlink()
            time.sleep(0.1)
        for number, line in enumerate(more.splitlines(keepends=True)):
            with path.open("a" if number else "w") as file:
                file.write(line)
            time.sleep(0.02)

    if way == "grows":
        path.write_text(more[: len(DESKS)])
    thread = threading.Thread(target=export)
    thread.start()
    told: list[str] = []
    while thread.is_alive():
        told += directory.refresh()
        assert whole(directory)
    thread.join()
    told += directory.refresh()
    assert told == []
    assert len(directory.contacts({f"{x}{n}@x.example" for n in range(10) for x in "de"})) == 20


def test_a_file_that_comes_and_goes_says_nothing_of_its_folder(folder: Path) -> None:
    end = threading.Event()

    def export() -> None:
        while not end.is_set():
            (folder / "contacts.csv").unlink()
            (folder / "contacts.csv").write_text(DESKS)

    thread = threading.Thread(target=export)
    thread.start()
    try:
        assert {len(stamps(folder)) for _ in range(3000)} <= {2, 3}
    finally:
        end.set()
        thread.join()


@settings(max_examples=60)
@given(cut=st.integers(0, len(DESKS) - 1))
def test_an_export_cut_anywhere_loses_no_contact_for_good(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    top = tmp_path_factory.mktemp("csv")
    write(top / "acme", persons=PEOPLE, customers=CUSTOMERS, contacts=DESKS)
    directory = csv_of(top / "acme", top / "state")
    directory.refresh()
    version = directory.contents().version
    os.utime(top / "acme/contacts.csv", (1, 1))
    (top / "acme/contacts.csv").write_text(DESKS[:cut])
    os.utime(top / "acme/contacts.csv", (2, 2))
    directory.refresh()
    cut_to = directory.contents()
    lost = {f"d{n}@x.example" for n in range(10)} - directory.contacts({f"d{n}@x.example" for n in range(10)}).keys()
    assert cut_to.version != version or not lost or cut_to.outdated
    (top / "acme/contacts.csv").write_text(DESKS)
    os.utime(top / "acme/contacts.csv", (3, 3))
    assert directory.refresh() == []
    assert whole(directory)
    changed = directory.changed(cut_to.version)
    assert changed is not None
    assert lost <= set(changed), "who has contacts again is known, so that their mail is judged again"
    directory.close()


def test_who_has_contacts_now_that_he_had_not_is_known_from_one_version_to_the_next(folder: Path, directory: Csv) -> None:
    first = directory.contents().version
    write(folder, contacts=DESKS.replace("d3@x.example,sales", "d3@x.example,office") + "customer,C1,EMAIL,New@x.example,\n")
    assert directory.refresh() == []
    second = directory.contents().version
    assert first != second
    assert set(directory.changed(first) or ()) == {"d3@x.example", "new@x.example"}
    assert directory.changed(second) == set()
    write(folder, customers=CUSTOMERS + "C2,Sued,P1\n")
    directory.refresh()
    assert directory.changed(second) == set()
    assert directory.changed(first) is None
    assert directory.changed("") is None


# --- what looks wrong -------------------------------------------------------------------------------------------------

DOUBTS = {
    "an address that is none": (
        {"persons": "id,name,email\nP1,Anna,a@x.example;anna(at)x\n"},
        "persons.csv:2: 'anna(at)x' is no mail address",
    ),
    "a contact's address that is none": (
        {
            "customers": "id,name,main_contact\nC1,Nord,\n",
            "contacts": CONTACTS + "customer,C1,EMAIL,b@x@y,\ncustomer,C1,PHONE,7,\n",
        },
        "contacts.csv:3: 'b@x@y' is no mail address",
    ),
    **{
        f"an address with {what}": (
            {"persons": f"id,name,email\nP1,Anna,a@x.example;{address}\n"},
            f"persons.csv:2: {address!r} is no mail address",
        )
        for what, address in {
            "what is not seen": "b\u200b@x.example",
            "a mark of order": "\ufeffb@x.example",
            "brackets": "<b@x.example>",
            "its scheme": "mailto:b@x.example",
            "a final dot": "b@x.example.",
            "two dots": "b@x..example",
            "a number for a domain": "b@192.0.2.1",
        }.items()
    },
    "a main contact of nobody": (
        {"persons": PERSONS, "customers": CUSTOMERS + "C2,Sued,P9\nC3,West,\n"},
        "customers.csv:3: the main contact 'P9' is nobody in persons.csv",
    ),
    "an address that is not called one": (
        {"customers": "id,name,main_contact\nC1,Nord,\n", "contacts": CONTACTS + "customer,C1,E-Mail,b@x,\ncustomer,C1,PHONE,7,\n"},
        "contacts.csv:3: 'b@x' is a mail address, but the type is 'E-Mail' and not EMAIL",
    ),
    "main contacts without persons": (
        {"suppliers": CUSTOMERS},
        "suppliers.csv:1: it has main contacts, but there is no persons.csv",
    ),
    "two bookings with one code": (
        {"reservations": "id,code\nR1,B-1\nR2,B-2\nR3,B-1\nR4,\nR5,\n"},
        "reservations.csv:4: the code 'B-1' is in line 2, too: a person must choose between them",
    ),
    "a slip in a column": (
        {"customers": "id,name,main_contact\nC1,Nord,\n", "contacts": CONTACTS.replace("contact_type", "contact-type")},
        "contacts.csv:1: the column 'contact-type' is a field like any other; is it meant for 'contact_type'?",
    ),
    "a slip in a name": ({"person": PERSONS}, "person.csv: this file is not read; did you mean 'persons.csv'?"),
    "capitals in a name": ({"Persons": PERSONS}, "Persons.csv: this file is not read; did you mean 'persons.csv'?"),
    "an empty folder": ({}, "acme: it has none of persons.csv, customers.csv, suppliers.csv, contacts.csv, "),
}


@pytest.mark.parametrize("doubt", DOUBTS)
def test_what_looks_wrong_is_told_with_its_place_and_is_used_as_it_is(tmp_path: Path, doubt: str) -> None:
    files, said = DOUBTS[doubt]
    write(tmp_path / "acme", **files)
    directory = csv_of(tmp_path / "acme", tmp_path / "state")
    assert directory.refresh() == []
    (warning,) = directory.contents().warnings
    assert said in warning


def test_sound_files_are_not_doubted(folder: Path, directory: Csv) -> None:
    write(folder, notes="anything\n", persons=PERSONS)
    directory.accept()
    assert directory.contents().warnings == ()
    assert directory.contents().faults == ()


def test_contents_are_counted(directory: Csv) -> None:
    assert dict(directory.contents().rows) == {"persons.csv": 10, "customers.csv": 1, "contacts.csv": 10}
    assert directory.contents().contact_types == (("customer", "sales", 10),)


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("Müller", "muller"),
        ("Müller", "mueller"),
        ("Mueller", "müller"),
        ("Müller", "MÜLLER"),
        ("Nováková", "novakova"),
        ("Søren Łukasz", "soren lukasz"),
        ("Straße", "strasse"),
        ("Bœuf", "boeuf"),
        ("İzmir", "izmir"),
    ],
)
def test_search_minds_neither_accents_nor_how_an_umlaut_is_written(tmp_path: Path, name: str, asked: str) -> None:
    write(tmp_path / "acme", persons=f"id,name,email\nP1,{name},a@x.example\nP2,Other,b@x.example\n")
    directory = csv_of(tmp_path / "acme", tmp_path / "state")
    directory.refresh()
    assert [one.id for one in directory.search("person", asked)] == ["P1"]
