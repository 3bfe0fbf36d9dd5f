from __future__ import annotations

import csv
import fcntl
import io
import os
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewayd import ConfigError, Contact, Directory, Folders, Operator, Record, TransientError
from gatewayd.registry.guarded_directory import GuardedDirectory
from gatewayd.testing import FakeDirectory, Question
from gatewayd.testing.contracts.matching import DirectoryContract
from gatewayd_csv import complete_files
from gatewayd_csv import directory as module
from gatewayd_csv.build import build
from gatewayd_csv.directory import Csv
from gatewayd_csv.options import CsvOptions
from gatewayd_csv.rows import Faults, rows
from gatewayd_csv.tables import TABLES, stamps
from tests.patience import LONG

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PERSONS = "id,name,email,temporary\nP1,Anna,anna@x.example;Anna@home.example,no\nP2,Temp,anna@x.example,yes\n"
CUSTOMERS = "id,name,main_contact\nC1,Nord GmbH,P1\n"
CONTACTS = "owner_kind,owner_id,type,value,contact_type\ncustomer,C1,email,Desk@Nord.example,sales\n"
RESERVATIONS = "id,code,title,agent\nR1,B-756,Rome,C1\nR2,O-756,,C1\n"


#: The directories of the running test.
MADE: list[Csv] = []


def csv_of(folder: Path, state: Path) -> Csv:
    options = CsvOptions.model_validate({"folder": str(folder)})
    MADE.append(Csv(options, operator=Operator(name="acme"), place=Folders(config=folder, state=state)))
    return MADE[-1]


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while MADE:
        MADE.pop().close()


def write(folder: Path, **files: str | bytes) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.csv").write_bytes(text if isinstance(text, bytes) else text.encode())


@pytest.fixture(autouse=True, scope="module")
def _quickly() -> Iterator[None]:
    """Files count as written sooner than on a real system."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(complete_files, "_QUIET", 0.05)
        patch.setattr(complete_files, "_QUIET_SHORTER", 0.1)
        patch.setattr(complete_files, "_PATIENCE", 1.0)
        patch.setattr(complete_files, "_LOOK", 0.01)
        patch.setattr(module, "_OTHERS", 0.5)
        yield


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "acme", persons=PERSONS, customers=CUSTOMERS, contacts=CONTACTS, reservations=RESERVATIONS)
    return tmp_path / "acme"


@pytest.fixture
def directory(folder: Path, tmp_path: Path) -> Csv:
    return csv_of(folder, tmp_path / "state")


class TestCsvContract(DirectoryContract):
    def build(self, folder: Path) -> Directory:
        write_all(folder / "csv", self.records, self.contacts)
        return csv_of(folder / "csv", folder / "state")


class TestFakeContract(DirectoryContract):
    def build(self, folder: Path) -> Directory:  # noqa: ARG002  a fake needs no folder
        return FakeDirectory(self.records, self.contacts)

    def test_it_remembers_questions_and_forgets_empty_ones(self, directory: Directory) -> None:
        directory.persons(())
        directory.find("person", "email", {"anna@home.example"})
        assert isinstance(directory, FakeDirectory)
        assert directory.questions == [Question("find", frozenset({"anna@home.example"}), "person", "email")]
        assert [person.id for person in directory.find("person", "email", {"anna@home.example"})["anna@home.example"]] == ["P1"]


def write_all(folder: Path, records: Sequence[Record], contacts: Sequence[Contact]) -> None:
    folder.mkdir()
    for name, table in TABLES.items():
        columns = ["id", "name", "email", "temporary", "main_contact", "code", "title"]
        of_kind = [record for record in records if record.kind == table.kind]
        with (folder / name).open("w", newline="", encoding="utf-8") as file:
            if table.kind is None:
                writer = csv.writer(file)
                writer.writerow([*table.needed, "contact_type"])
                writer.writerows((c.record.kind, c.record.id, c.type, c.value, c.contact_type) for c in contacts)
            else:
                columns = [column for column in columns if column in table.needed or any(record.get(column) for record in of_kind)]
                writer = csv.writer(file)
                writer.writerow(columns)
                writer.writerows([{"id": r.id, "name": r.label}.get(column, r.get(column)) for column in columns] for r in of_kind)


# --- what the files say -----------------------------------------------------------------------------------------------


def test_a_record_has_a_label_and_keeps_further_columns_as_fields(directory: Csv) -> None:
    assert directory.refresh() == []
    assert directory.reservations({"B-756", "O-756"}) == {
        "B-756": [
            Record(kind="reservation", id="R1", label="B-756 Rome", fields=(("code", "B-756"), ("title", "Rome"), ("agent", "C1")))
        ],
        "O-756": [Record(kind="reservation", id="R2", label="O-756", fields=(("code", "O-756"), ("agent", "C1")))],
    }
    customer = Record(kind="customer", id="C1", label="Nord GmbH", fields=(("main_contact", "P1"),))
    assert directory.contacts({"desk@nord.EXAMPLE"}) == {
        "desk@nord.example": [Contact(record=customer, type="EMAIL", value="Desk@Nord.example", contact_type="sales")]
    }
    assert [person.id for person in directory.persons({"anna@home.example"})["anna@home.example"]] == ["P1"]
    assert directory.find("reservation", "agent", {"C1", "C2"}).keys() == {"C1"}


def test_temporary_persons_are_found_only_when_asked_for_by_field(directory: Csv) -> None:
    directory.refresh()
    assert [person.id for person in directory.persons({"anna@x.example"})["anna@x.example"]] == ["P1"]
    assert [person.id for person in directory.find("person", "email", {"Anna@X.example"})["Anna@X.example"]] == ["P1", "P2"]


def test_every_file_is_optional(tmp_path: Path) -> None:
    write(tmp_path / "acme")
    directory = csv_of(tmp_path / "acme", tmp_path / "state")
    assert directory.refresh() == []
    assert (directory.persons({"a@x"}), directory.contacts({"a@x"}), directory.reservations({"B-1"})) == ({}, {}, {})
    assert directory.search("customer", "x") == []


def test_a_byte_order_mark_blanks_and_a_header_in_capitals_do_not_matter(tmp_path: Path) -> None:
    write(tmp_path / "acme", customers=b"\xef\xbb\xbfID, Name ,MAIN_CONTACT\r\n C1 , Nord , P1 \r\n\r\n")
    directory = csv_of(tmp_path / "acme", tmp_path / "state")
    assert directory.refresh() == []
    assert directory.find("customer", "main_contact", {"P1"})["P1"][0].label == "Nord"


def test_a_record_without_a_name_is_called_by_its_id(tmp_path: Path) -> None:
    write(tmp_path / "acme", customers="id,name,main_contact\nC1,,\n")
    directory = csv_of(tmp_path / "acme", tmp_path / "state")
    directory.refresh()
    assert directory.find("customer", "id", {"C1"})["C1"][0].label == "C1"


# --- faulty rows ------------------------------------------------------------------------------------------------------

FAULTY_PERSONS = b"""id,name,email,temporary
P1,Anna,anna@x.example,no
P2,too few
,nobody,x@x.example,no
P3,"two
lines",p3@x.example,no
P1,Anna again,again@x.example,no
P4,maybe,p4@x.example,maybe
P5,\xff\xfe,p5@x.example,no
P6,"open quote,p6@x.example,no
P7,"a"b,p7@x.example,no
P8,last,p8@x.example,YES
P9,good,p9@x.example,
"""


def test_a_faulty_row_is_reported_with_its_line_and_does_not_take_the_rest_along(folder: Path, directory: Csv) -> None:
    write(folder, persons=FAULTY_PERSONS, contacts=CONTACTS + "agent,C1,EMAIL,a@x,\nsupplier,S1,EMAIL,b@x,\ncustomer,C9,PHONE,1,\n")
    assert directory.refresh() == [
        "persons.csv:3: expected 4 columns, found 2",
        "persons.csv:4: the id is missing",
        "persons.csv:7: the id 'P1' is in line 2 already",
        "persons.csv:8: temporary is 'maybe', expected yes or no",
        "persons.csv:9: it is not UTF-8, so this row is left out; save the file as UTF-8 (in Excel: CSV UTF-8)",
        "persons.csv:10: it is not CSV: ',' expected after '\"'",
        "persons.csv:11: it is not CSV: ',' expected after '\"'",
        "contacts.csv:3: owner_kind is 'agent', expected customer or supplier",
        "contacts.csv:4: there is no supplier 'S1' in suppliers.csv",
        "contacts.csv:5: there is no customer 'C9' in customers.csv",
    ]
    assert list(directory.find("person", "id", {f"P{n}" for n in range(10)})) == ["P1", "P3", "P8", "P9"]
    assert directory.find("person", "id", {"P1"})["P1"][0].label == "Anna"
    assert directory.persons({"again@x.example"}) == {}
    assert directory.search("person", "again") == []
    assert directory.contacts({"a@x", "b@x"}) == {}


def test_P4_a_row_that_the_kernel_would_not_take_is_left_out_and_all_others_are_taken(tmp_path: Path) -> None:
    long, longer = "x" * 1000, "x" * 100_001
    write(
        tmp_path / "acme",
        customers=f"id,name,main_contact,note\nC1,Nord,,fine\n{long},Long,,\nC2,{long},,\nC3,NUL\0,,\nC4,Ost,,{longer}\nC5,{'ü' * 499},,\n",
        reservations=f"id,code,title\nR1,{'c' * 999},{'t' * 999}\nR2,{long},\n",
        contacts=f"owner_kind,owner_id,type,value,contact_type\ncustomer,C1,EMAIL,a@x,{long}\ncustomer,C1,EMAIL,b@x,sales\n",
    )
    directory = csv_of(tmp_path / "acme", tmp_path / "state")
    guarded = GuardedDirectory(directory)
    assert guarded.refresh() == [
        "customers.csv:3: id, code, name or title has more than 999 bytes",
        "customers.csv:4: id, code, name or title has more than 999 bytes",
        "customers.csv:5: it has a NUL character",
        "customers.csv:6: a value has more than 100,000 characters",
        "contacts.csv:2: type or contact_type has more than 999 bytes",
        "reservations.csv:3: id, code, name or title has more than 999 bytes",
    ]
    assert list(guarded.find("customer", "id", {"C1", "C2", "C3", "C4", "C5"})) == ["C1", "C5"]
    assert [record.id for record in guarded.reservations({"c" * 999})["c" * 999]] == ["R1"]
    assert list(guarded.contacts({"a@x", "b@x"})) == ["b@x"]


@pytest.mark.parametrize("rest", [5, 500])
def test_an_open_quote_swallows_one_row_at_most(tmp_path: Path, rest: int) -> None:
    lines = [f"C{n},Firma {n},\n" for n in range(rest)]
    write(tmp_path / "acme", customers='id,name,main_contact\nX1,"open,\n' + "".join(lines))
    directory = csv_of(tmp_path / "acme", tmp_path / "state")
    (fault,) = directory.refresh()
    assert fault.startswith("customers.csv:2: ")
    assert len(directory.find("customer", "id", {f"C{n}" for n in range(rest)})) == rest
    assert directory.find("customer", "id", {"X1"}) == {}


def test_the_number_of_faults_that_are_told_is_bounded(tmp_path: Path) -> None:
    write(tmp_path / "acme", customers="id,name,main_contact\n" + "X\n" * 1500, products="id,code\n" + "A1,A\n" * 300)
    faults = csv_of(tmp_path / "acme", tmp_path / "state").refresh()
    assert faults[99] == "customers.csv:101: expected 3 columns, found 1"
    assert faults[100] == "customers.csv: 1,400 more faulty rows were left out"
    assert faults[101] == "products.csv:3: the id 'A1' is in line 2 already"
    assert faults[-1] == "products.csv: 199 more faulty rows were left out"
    assert len(faults) == 202


def test_a_line_without_end_is_read_in_pieces(tmp_path: Path) -> None:
    write(tmp_path / "acme", customers=b"id,name,main_contact\nC1,Nord,\n" + b"x" * (3 << 20) + b"\nC2,Sued,\n")
    directory = csv_of(tmp_path / "acme", tmp_path / "state")
    assert directory.refresh()
    assert directory.find("customer", "id", {"C1", "C2"}).keys() == {"C1", "C2"}


def test_faults_are_told_once_to_each_who_asks(folder: Path, tmp_path: Path) -> None:
    write(folder, products="id,code\nA1\n")
    fault = ["products.csv:2: expected 2 columns, found 1"]
    one, other = csv_of(folder, tmp_path / "state"), csv_of(folder, tmp_path / "state")
    assert one.refresh() == fault
    assert one.refresh() == []
    assert other.refresh() == fault


# --- files that can't be used -----------------------------------------------------------------------------------------

BAD_HEADERS = {
    b"": "lacks id, name, email",
    b"id;name;email\n": "lacks id, name, email; expected a header line with id, name, email, separated by commas",
    b"id,name\n": "lacks email",
    b"id,name,email,name\n": "names a column twice",
    b'id,"name,email\n': "lacks",
    b"id,name,em\xffil\n": "is not UTF-8",
    b"\xff\xfei\x00d\x00": "is not UTF-8",
    b"id,name,email," + b",".join(b"c%d" % n for n in range(600)): "more than 500 columns",
}


@pytest.mark.parametrize(("content", "what"), BAD_HEADERS.items(), ids=range(len(BAD_HEADERS)))
def test_a_file_with_a_faulty_header_is_refused_and_the_last_good_index_stays(
    folder: Path, directory: Csv, tmp_path: Path, content: bytes, what: str
) -> None:
    directory.refresh()
    write(folder, persons=content, reservations=RESERVATIONS + "R3,L-756,,\n")
    for _ in range(2):
        (fault,) = directory.refresh()
        assert fault.startswith("persons.csv:1: the header line ")
        assert what in fault
        assert fault.endswith("; what the files were before stays in use")
    assert directory.persons({"anna@x.example"})
    assert directory.reservations({"L-756"}) == {}
    with pytest.raises(ConfigError, match=r"persons\.csv:1: the header line") as raised:
        csv_of(folder, tmp_path / "elsewhere").refresh()
    assert raised.value.advice
    write(folder, persons=PERSONS)
    assert directory.refresh() == []
    assert directory.reservations({"L-756"})


def test_a_file_that_is_a_folder_is_refused(folder: Path, directory: Csv) -> None:
    (folder / "invoices.csv").mkdir()
    with pytest.raises(ConfigError, match=r"invoices.csv:1: it can't be read: Is a directory"):
        directory.refresh()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"{tmp_path}/nowhere: there is no such folder") as raised:
        csv_of(tmp_path / "nowhere", tmp_path / "state").refresh()
    assert "config folder" in raised.value.advice
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="it is no folder"):
        csv_of(tmp_path / "file", tmp_path / "state").refresh()
    with pytest.raises(ConfigError, match="it can't be read: File name too long"):
        csv_of(tmp_path / ("x" * 300), tmp_path / "state").refresh()


def test_a_relative_folder_counts_from_the_config_folder(tmp_path: Path) -> None:
    assert CsvOptions.model_validate({"folder": "acme"}, context={"folder": tmp_path}).folder == tmp_path / "acme"


# --- following changes ------------------------------------------------------------------------------------------------


def test_changes_are_followed_and_an_unchanged_folder_builds_nothing(folder: Path, directory: Csv, tmp_path: Path) -> None:
    directory.refresh()
    built = (tmp_path / "state" / "acme.index").stat()
    directory.refresh()
    assert (tmp_path / "state" / "acme.index").stat() == built
    write(folder, reservations="id,code\nR9,B-9\n")
    assert directory.refresh() == []
    assert directory.reservations({"B-9", "B-756"}).keys() == {"B-9"}


def test_another_file_of_the_same_size_and_time_is_noticed(folder: Path, directory: Csv) -> None:
    directory.refresh()
    path = folder / "customers.csv"
    before = path.stat()
    (folder / "new").write_text(CUSTOMERS.replace("Nord", "Sued"))
    os.utime(folder / "new", ns=(before.st_atime_ns, before.st_mtime_ns))
    (folder / "new").rename(path)
    directory.refresh()
    assert directory.find("customer", "id", {"C1"})["C1"][0].label == "Sued GmbH"


def test_an_index_that_another_process_built_is_used(folder: Path, directory: Csv, tmp_path: Path) -> None:
    directory.refresh()
    other = csv_of(folder, tmp_path / "state")
    assert other.reservations({"B-756"}), "what is there answers even before the first refresh"
    write(folder, reservations="id,code\nR9,B-9\n")
    directory.refresh()
    assert other.reservations({"B-756"}), "an open index answers whole until the next refresh"
    built = (tmp_path / "state" / "acme.index").stat()
    assert other.refresh() == []
    assert other.reservations({"B-756", "B-9"}).keys() == {"B-9"}
    assert (tmp_path / "state" / "acme.index").stat() == built


def test_without_an_index_it_says_so(directory: Csv) -> None:
    for question in (lambda: directory.persons({"a@x"}), lambda: directory.search("person", "anna")):
        with pytest.raises(TransientError, match="there is no index yet"):
            question()


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + b"\0" * 4096])
def test_a_broken_index_is_built_anew(directory: Csv, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "acme.index").write_bytes(content)
    assert directory.refresh() == []
    assert directory.reservations({"B-756"})


def test_an_index_of_another_format_is_built_anew(folder: Path, directory: Csv, tmp_path: Path) -> None:
    directory.refresh()
    directory.close()
    with sqlite3.connect(tmp_path / "state" / "acme.index") as db:
        db.execute("PRAGMA user_version=999")
    db.close()
    other = csv_of(folder, tmp_path / "state")
    with pytest.raises(TransientError):
        other.reservations({"B-756"})
    other.refresh()
    assert other.reservations({"B-756"})


def test_an_index_of_another_folder_is_not_used(folder: Path, directory: Csv, tmp_path: Path) -> None:
    directory.refresh()
    write(tmp_path / "moved")
    other = csv_of(tmp_path / "moved", tmp_path / "state")
    with pytest.raises(TransientError):
        other.reservations({"B-756"})
    other.refresh()
    assert other.reservations({"B-756"}) == {}
    assert folder.exists()


def test_an_index_that_breaks_in_use_is_thrown_away_and_built_anew(directory: Csv, tmp_path: Path) -> None:
    directory.refresh()
    path = tmp_path / "state" / "acme.index"
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * (path.stat().st_size - 8192))
    with pytest.raises(TransientError, match="the index can't be read"):
        directory.persons({"anna@x.example"})
    assert not path.exists()
    directory.refresh()
    assert directory.persons({"anna@x.example"})


def test_a_state_folder_that_cannot_be_written_is_told(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    with pytest.raises(TransientError, match="the index can't be written") as raised:
        csv_of(folder, tmp_path / "state").refresh()
    assert raised.value.advice


def test_with_an_index_a_disk_that_refuses_a_new_one_is_only_told(folder: Path, directory: Csv, tmp_path: Path) -> None:
    directory.refresh()
    (tmp_path / "state" / "acme.new").mkdir()
    write(folder, reservations="id,code\nR9,B-9\n")
    (told,) = directory.refresh()
    assert "the index can't be written" in told
    assert directory.reservations({"B-756"})


# --- never half an index ----------------------------------------------------------------------------------------------


def test_a_build_that_fails_leaves_no_file(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        build(folder, stamps(folder), {"quotes.csv": ("id", "code")}, tmp_path / "new")
    assert not (tmp_path / "new").exists()


REFRESH = """
import pathlib, sys
from gatewayd import Operator, Folders
from gatewayd_csv.directory import Csv
folder, state = map(pathlib.Path, sys.argv[1:])
options = Csv.Options.model_validate({"folder": str(folder)})
Csv(options, operator=Operator(name="acme"), place=Folders(config=folder, state=state)).refresh()
"""


def test_what_a_killed_build_left_is_no_index(folder: Path, directory: Csv, tmp_path: Path) -> None:
    small = (folder / "reservations.csv").read_text()
    write(folder, reservations="id,code\n" + "".join(f"R{n},B-{n}\n" for n in range(300_000)))
    target = tmp_path / "state" / "acme.new"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", REFRESH, folder, tmp_path / "state"], env=environment) as child:
        while not (target.exists() and target.stat().st_size > 100_000):
            assert child.poll() is None, "it ended before it could be killed"
            time.sleep(0.001)
        child.kill()
    assert target.exists()
    with pytest.raises(TransientError, match="no index yet"):
        directory.reservations({"B-756"})
    write(folder, reservations=small)
    assert directory.refresh() == [], "the lock went with the process"
    assert directory.reservations({"B-756"})
    assert not target.exists()


def test_more_values_than_sqlite_takes_at_once_are_looked_up(directory: Csv) -> None:
    directory.refresh()
    assert directory.reservations({"B-756", *(f"X-{number}" for number in range(260_000))}).keys() == {"B-756"}
    assert directory.find("reservation", "id", {"R1", *(f"X{number}" for number in range(260_000))}).keys() == {"R1"}


CHANGING = """
import os, pathlib, sys
from gatewayd import Operator, Folders, TransientError
from gatewayd_csv.directory import Csv
folder, state = map(pathlib.Path, sys.argv[1:])
reservations = folder / "reservations.csv"
growing = True

def grow(event, arguments):
    # Between the first look at the file and the last one.
    if growing and event == "open" and str(arguments[0]) == str(reservations) and "r" in str(arguments[1]):
        with open(str(reservations), "a") as file:
            file.write(f"R{os.urandom(4).hex()},B-1,,\\n")

sys.addaudithook(grow)
directory = Csv(Csv.Options.model_validate({"folder": str(folder)}), operator=Operator(name="acme"), place=Folders(config=folder, state=state))
for step in (directory.refresh, lambda: directory.reservations({"B-1"})):
    try:
        print(step())
    except TransientError as error:
        print(error)
growing = False
print(directory.refresh())
growing = True
# What follows from the last refresh is built first.
reservations.touch()
print(directory.refresh())
print(list(directory.reservations({"B-756"})))
"""


def test_a_file_that_changes_while_it_is_read_is_never_half_an_index(folder: Path, tmp_path: Path) -> None:
    """In a process of its own: an audit hook stays, and hears of whatever other tests do."""
    command = [sys.executable, "-c", CHANGING, str(folder), str(tmp_path / "state")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=LONG).stdout.splitlines()
    assert "the files change while they are read" in said[0]
    assert "no index yet" in said[1]
    assert said[2] == "[]"
    assert said[3].endswith("the files change while they are read; what they were before stays in use']")
    assert said[4] == "['B-756']"


def test_while_another_process_builds_the_old_index_is_used_and_a_new_one_awaited(
    folder: Path, directory: Csv, tmp_path: Path
) -> None:
    directory.refresh()
    write(folder, reservations="id,code\nR9,B-9\n")
    with (tmp_path / "state" / "acme.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert directory.refresh() == []
        assert directory.contents().outdated == "another process takes its files over just now"
        assert directory.reservations({"B-756"})
        directory.close()
        (tmp_path / "state" / "acme.index").unlink()
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(csv_of(folder, tmp_path / "state").refresh)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.2)
            fcntl.flock(lock, fcntl.LOCK_UN)
            assert waiting.result(timeout=LONG) == []
    assert directory.reservations({"B-9"})


def test_another_thread_may_ask(directory: Csv) -> None:
    directory.refresh()
    with ThreadPoolExecutor() as pool:
        assert pool.submit(directory.reservations, {"B-756"}).result()
        pool.submit(directory.close).result()


# --- parsing ----------------------------------------------------------------------------------------------------------

VALUE = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=12)


@settings(max_examples=200)
@given(table=st.lists(st.lists(VALUE, min_size=3, max_size=3), max_size=8))
def test_what_a_csv_writer_wrote_is_read_with_its_lines(tmp_path_factory: pytest.TempPathFactory, table: list[list[str]]) -> None:
    written = io.StringIO(newline="")
    writer = csv.writer(written)
    writer.writerow(["id", "name", "main_contact"])
    lines = []
    for row in table:
        lines.append(written.getvalue().count("\n") + 1)
        writer.writerow(row)
    path = tmp_path_factory.mktemp("csv") / "customers.csv"
    path.write_bytes(written.getvalue().encode())
    faults = Faults("customers.csv")
    assert list(rows(path, 3, faults)) == [(line, [value.strip() for value in row]) for line, row in zip(lines, table, strict=True)]
    assert faults.texts() == []


@settings(max_examples=300)
@given(junk=st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"").replace(b"\r", b"")), max_size=8))
def test_rows_between_junk_are_found_wherever_no_quote_is_open(tmp_path_factory: pytest.TempPathFactory, junk: list[bytes]) -> None:
    folder = tmp_path_factory.mktemp("csv")
    good = [b"C%d,Firma,P%d" % (number, number) for number in range(len(junk))]
    lines = [line for pair in zip(junk, good, strict=True) for line in pair]
    write(folder, customers=b"id,name,main_contact\n" + b"\n".join(lines) + b"\n")
    directory = csv_of(folder, folder)
    told = directory.refresh()
    assert all(fault.startswith("customers.csv:") for fault in told)
    found = directory.find("customer", "id", {f"C{number}" for number in range(len(good))})
    if b'"' not in b"".join(junk):
        assert len(found) == len(good)
    directory.close()


def test_an_address_is_found_however_its_letters_are_made_up(tmp_path: Path) -> None:
    decomposed = "anna@mu\u0308ller.example"
    write(
        tmp_path / "acme",
        persons=f"id,name,email\nP1,Anna,{decomposed}\nP2,André,andre\u0301@nord.example\n",
        customers="id,name,main_contact\nC1,Nord,P1\n",
        contacts=f"owner_kind,owner_id,type,value\ncustomer,C1,EMAIL,{decomposed}\n",
    )
    found = GuardedDirectory(csv_of(tmp_path / "acme", tmp_path / "state"))
    assert found.refresh() == []
    for written in (decomposed, "anna@müller.example", "anna@xn--mller-kva.example"):
        assert [one.id for one in found.persons([written])[written]] == ["P1"]
        assert [one.record.id for one in found.contacts([written])[written]] == ["C1"]
    # A local part is its server's matter: it is taken as it is written.
    assert [one.id for one in found.persons(["andre\u0301@nord.example"])["andre\u0301@nord.example"]] == ["P2"]
