"""A directory in its guard: answers pass unchanged, and whatever goes wrong is known as the directory's fault."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest

from gatewayd import ConfigError, Contents, TransientError
from gatewayd.errors import GatewaydError
from gatewayd.registry.guarded_directory import DirectoryFailed, GuardedDirectory
from gatewayd.testing import FakeDirectory, Question, make_contact, make_record

if TYPE_CHECKING:
    from collections.abc import Collection

CUSTOMER = make_record("customer", "C1", "Nord GmbH")
PERSON = make_record("person", "P1", "Anna", email="anna@example.com")
BOOKING = make_record("reservation", "R9", code="B-756")

ASK: dict[str, Any] = {
    "refresh": lambda known: known.refresh(),
    "find": lambda known: known.find("customer", "id", {"C1"}),
    "persons": lambda known: known.persons({"anna@example.com"}),
    "contacts": lambda known: known.contacts({"desk@nord.example"}),
    "reservations": lambda known: known.reservations({"B-756"}),
    "search": lambda known: known.search("customer", "nord", limit=3),
}


def test_answers_pass_unchanged() -> None:
    inner = FakeDirectory([CUSTOMER, PERSON, BOOKING], [make_contact(CUSTOMER, "desk@nord.example")])
    guarded = GuardedDirectory(inner)
    for name, ask in ASK.items():
        assert ask(guarded) == ask(inner), name
        assert ask(guarded) or name == "refresh"
    assert inner.questions.count(Question("reservations", frozenset())) == 0
    guarded.close()


@pytest.mark.parametrize(
    ("written", "known"),
    [
        ("Anna@xn--mller-kva.example", "anna@müller.example"),
        ("anna@müller.example", "Anna@xn--mller-kva.example"),
        ("Anna@MÜLLER.example", "anna@müller.example"),
    ],
)
def test_who_is_known_in_the_other_spelling_of_a_domain_is_found(written: str, known: str) -> None:
    customer, person = make_record("customer", "C1"), make_record("person", "P1", email=known)
    contacts = [make_contact(customer, known), make_contact(customer, written)]
    guarded = GuardedDirectory(FakeDirectory([customer, person], contacts))
    persons = guarded.persons([written, "nobody@xn--mller-kva.example"])
    assert {key: list(found) for key, found in persons.items()} == {written.lower(): [person]}
    assert {key: set(found) for key, found in guarded.contacts([written]).items()} == {written.lower(): set(contacts)}
    assert guarded.given == {customer, person}


@pytest.mark.parametrize("method", ASK)
@pytest.mark.parametrize(
    "error", [TransientError("away"), ConfigError("no index"), KeyError("a bug"), SystemExit(1), TimeoutError()]
)
def test_P4_whatever_a_directory_raises_is_its_own_fault(method: str, error: BaseException) -> None:
    inner = FakeDirectory()

    def broken(*_: object, **__: object) -> None:
        raise error

    object.__setattr__(inner, method, broken)
    with pytest.raises(DirectoryFailed) as raised:
        ASK[method](GuardedDirectory(inner))
    assert raised.value.__cause__ is error
    assert str(error) in str(raised.value)
    assert not isinstance(raised.value, GatewaydError), "no handling of errors.py may take it"


@pytest.mark.parametrize("method", ["find", "persons", "contacts", "reservations"])
@pytest.mark.parametrize("answer", [None, ["R9"], "R9", 7])
def test_an_answer_that_is_no_mapping_is_the_directorys_fault(method: str, answer: object) -> None:
    inner = FakeDirectory()
    object.__setattr__(inner, method, lambda *_: answer)
    with pytest.raises(DirectoryFailed, match="expected a mapping"):
        ASK[method](GuardedDirectory(inner))


@pytest.mark.parametrize("answer", [None, "a fault", {}])
def test_a_refresh_that_answers_with_no_list_is_the_directorys_fault(answer: object) -> None:
    inner = FakeDirectory()
    object.__setattr__(inner, "refresh", lambda: answer)
    with pytest.raises(DirectoryFailed, match="expected a list of texts"):
        GuardedDirectory(inner).refresh()


@pytest.mark.parametrize("method", ASK)
def test_without_a_directory_every_question_says_so(method: str) -> None:
    guarded = GuardedDirectory(None)
    with pytest.raises(DirectoryFailed, match="the operator has no directory"):
        ASK[method](guarded)
    guarded.close()


def test_closing_never_raises_and_an_interrupt_passes() -> None:
    class Stubborn(FakeDirectory):
        def close(self) -> None:
            raise OSError("no")

        def refresh(self) -> list[str]:
            raise KeyboardInterrupt

    GuardedDirectory(Stubborn()).close()
    with pytest.raises(KeyboardInterrupt):
        GuardedDirectory(Stubborn()).refresh()


# --- what it holds ----------------------------------------------------------------------------------------------------


def test_whose_contacts_changed_is_known_in_either_spelling() -> None:
    class Changed(FakeDirectory):
        def changed(self, version: str) -> Collection[str]:
            return ["Anna@Müller.example", version]

    assert GuardedDirectory(Changed()).changed("desk@nord.example") == {
        "anna@müller.example",
        "anna@xn--mller-kva.example",
        "desk@nord.example",
    }


def test_what_a_directory_tells_of_itself_is_bounded() -> None:
    class Talkative(FakeDirectory):
        def contents(self) -> Contents:
            many = tuple("x" * 10_000 for _ in range(5000))
            return Contents(faults=many, warnings=many, outdated="x" * 10_000, rows=tuple((one, 1) for one in many))

        def changed(self, version: str) -> Collection[str]:
            return [f"{number}@example.com" for number in range(int(version))]

    guarded = GuardedDirectory(Talkative())
    assert len(pickle.dumps(guarded.contents())) < 3_000_000
    assert len(guarded.changed("10") or ()) == 10
    assert guarded.changed("100000") is None


@pytest.mark.parametrize("answer", [None, "all", 7])
def test_contents_that_are_none_are_the_directorys_fault(answer: object) -> None:
    inner = FakeDirectory()
    object.__setattr__(inner, "contents", lambda: answer)
    with pytest.raises(DirectoryFailed, match="expected Contents"):
        GuardedDirectory(inner).contents()


def test_a_directory_that_tells_nothing_accepts_by_refreshing() -> None:
    guarded = GuardedDirectory(FakeDirectory())
    assert (guarded.accept(), guarded.contents(), guarded.changed("1")) == ([], Contents(), None)
