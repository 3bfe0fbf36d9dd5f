"""Matching: whatever a matcher, a directory or an option does, it costs its own links only (P4), and says so."""

from __future__ import annotations

import pickle
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from itertools import repeat
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewayd import ConfigError, Contents, Directory, Link, Matcher, Miss, Operator, PermanentError, Record, Rivals, TransientError
from gatewayd.api.directory import Basis
from gatewayd.matching import LocalMatching, MatchRequest, OperatorResult, OperatorSpec
from gatewayd.testing import FakeDirectory, make_contact, make_mail, make_record
from tests.unit.kernel import BOOKING, NORD, directory, links_all, match_request, match_with, matcher, registry, shelf, spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from gatewayd import Contact, Finding, Kind, Mail
    from gatewayd.api.roles import Plugin


@cache
def mail(number: int) -> Mail:
    """A mail, which nobody can change: to make one takes longer than to match it."""
    return make_mail(mail_id=number, subject=f"booking {number}")


def mails(count: int) -> tuple[Mail, ...]:
    return tuple(map(mail, range(1, count + 1)))


def examine(request: MatchRequest, *classes: type[Plugin]) -> OperatorResult:
    return match_with(LocalMatching(registry(*classes)), request)


def linked(found: OperatorResult, by: str) -> list[int]:
    return [link.mail_id for kind, link in found.links if kind == by]


def faulty(found: OperatorResult, by: str) -> set[int]:
    return {mail_id for mail_id, fault in found.faults if fault.by == by}


# --- a matcher's fault --------------------------------------------------------------------------------------------------


def raises(error: BaseException) -> Callable[[int], Iterable[Any]]:
    def do(_: int) -> Iterable[Any]:
        raise error

    return do


#: Everything that a matcher can do wrong for one mail.
WRONGS: Mapping[str, Callable[[int], Iterable[Any]]] = {
    "it raises": raises(ValueError("cannot bear it")),
    "it exits": raises(SystemExit(3)),
    "it raises one of ours": raises(TransientError("not mine to raise")),
    "it raises a permanent one of ours": raises(PermanentError("nor this")),
    "it yields another type": lambda _: ["a link"],
    "it yields nothing at all": lambda _: [None],
    "it speaks of a mail that is not there": lambda _: [Link(4711, BOOKING, "why not")],
    "it links no record": lambda mail_id: [Link(mail_id, "R9", "a code")],  # type: ignore[arg-type]
    "it links a kind that is none": lambda mail_id: [Link(mail_id, Record(kind="ship", id="1", label="x"), "x")],  # type: ignore[arg-type]
    "its record has a number for id": lambda mail_id: [Link(mail_id, Record(kind="product", id=7, label="x"), "x")],  # type: ignore[arg-type]
    "its record has no label": lambda mail_id: [Link(mail_id, Record(kind="product", id="7", label=None), "x")],  # type: ignore[arg-type]
    "it gives no reason": lambda mail_id: [Link(mail_id, BOOKING, None)],  # type: ignore[arg-type]
    "its miss gives no reason": lambda mail_id: [Miss(mail_id, 5)],  # type: ignore[arg-type]
    "its rivals can be read once only": lambda mail_id: [Rivals(mail_id, iter((BOOKING, NORD)), "two fit")],  # type: ignore[arg-type]
    "its rivals are no records": lambda mail_id: [Rivals(mail_id, ("R1", "R2"), "two fit")],  # type: ignore[arg-type]
    "it never stops": lambda mail_id: repeat(Link(mail_id, BOOKING, "again")),
    "it links what it made up": lambda mail_id: [Link(mail_id, make_record("product", "7"), "a guess")],
    "it links what it changed": lambda mail_id: [Link(mail_id, replace(BOOKING, label="mine"), "a guess")],
    "its rivals are made up": lambda mail_id: [Rivals(mail_id, (BOOKING, make_record("product", "7")), "two fit")],
    "it says too much": lambda mail_id: [Miss(mail_id, "x" * 20_000_000)],
}


@pytest.mark.parametrize("wrong", WRONGS)
@settings(max_examples=12)
@given(
    count=st.integers(1, 40),
    bad=st.sets(st.integers(1, 40), max_size=8),
    says_something_first=st.booleans(),
)
def test_P4_a_matcher_at_fault_costs_its_own_links_of_the_guilty_mails_only(
    *, count: int, bad: set[int], wrong: str, says_something_first: bool
) -> None:
    calls = 0
    bad &= set(range(1, count + 1))

    def match(batch: Sequence[Mail], known: Directory) -> Iterable[Finding]:
        nonlocal calls
        calls += 1
        guilty = [mail.id for mail in batch if mail.id in bad]
        first = links_all(batch, known)
        if says_something_first or not guilty:
            yield from first
        for mail_id in guilty:
            yield from WRONGS[wrong](mail_id)

    request = match_request(spec=spec("acme", "before", "shaky", "after"), mails=mails(count))
    found = examine(request, matcher("before", other_record("1")), matcher("shaky", match), matcher("after", other_record("2")))
    everything = set(range(1, count + 1))
    assert sorted(linked(found, "before")) == sorted(linked(found, "after")) == sorted(everything)
    assert {fault.by for _, fault in found.faults} <= {"shaky"}
    # No link of a guilty mail stays, and none of a mail with a fault; no mail has neither.
    assert len(linked(found, "shaky")) == len(set(linked(found, "shaky")))
    assert set(linked(found, "shaky")) | faulty(found, "shaky") == everything
    assert not set(linked(found, "shaky")) & faulty(found, "shaky")
    assert faulty(found, "shaky") >= bad
    assert faulty(found, "shaky") == bad
    assert len(found.faults) == len(bad)
    assert calls <= max(1, 2 * count - 1), "halving must end"


def other_record(record_id: str) -> Callable[[Sequence[Mail], Directory], Iterable[Finding]]:
    record = make_record("product", record_id)
    return lambda batch, known: [Link(mail.id, shelf(known, record), "all") for mail in batch]


def test_P8_a_matcher_that_always_raises_is_not_called_for_ever() -> None:
    calls = []

    def match(batch: Sequence[Mail], _: Directory) -> Iterable[Finding]:
        calls.append(len(batch))
        raise ValueError("never")

    found = examine(match_request(spec=spec("acme", "never"), mails=mails(100)), matcher("never", match))
    assert faulty(found, "never") == set(range(1, 101))
    assert len(found.faults) == 100
    assert len(calls) <= 2 * 100 - 1


def test_a_fault_says_what_was_raised_and_where() -> None:
    found = examine(
        match_request(spec=spec("acme", "shaky"), mails=mails(1)),
        matcher("shaky", lambda batch, _: [Link(batch[0].id, None, "")]),  # type: ignore[arg-type]
    )
    ((mail_id, fault),) = found.faults
    assert (mail_id, fault.by) == (1, "shaky")
    assert fault.error == "Link.record is None, expected Record"


def test_a_matcher_is_not_called_for_nothing() -> None:
    found = examine(
        match_request(spec=spec("acme", "shaky", bare=True), mails=()), matcher("shaky", lambda *_: raises(ValueError())(1))
    )
    assert found == OperatorResult(operator="acme")


def test_keyboard_interrupt_is_the_persons_and_no_matchers_fault() -> None:
    with pytest.raises(KeyboardInterrupt):
        examine(
            match_request(spec=spec("acme", "slow"), mails=mails(2)),
            matcher("slow", lambda *_: raises(KeyboardInterrupt())(1)),
        )


# --- a directory's fault ------------------------------------------------------------------------------------------------


class Down(FakeDirectory):
    error: BaseException = TransientError("the directory's server is away")

    def find(self, *_: Any, **__: Any) -> Mapping[str, Sequence[Record]]:
        raise self.error


class Contactless(FakeDirectory):
    error: BaseException = TransientError("away")

    def contacts(self, *_: Any, **__: Any) -> Mapping[str, Sequence[Contact]]:
        raise self.error


def asks(batch: Sequence[Mail], known: Directory) -> Iterable[Finding]:
    found = known.reservations({"B-756"})
    return [Link(mail.id, found["B-756"][0], "asked") for mail in batch]


@pytest.mark.parametrize(
    "error", [TransientError("away"), ConfigError("no index"), KeyError("a bug"), OSError("disk"), SystemExit(1), RecursionError()]
)
def test_P4_a_directory_that_fails_is_never_the_matchers_fault(error: BaseException) -> None:
    class Failing(Down):
        pass

    Failing.error = error
    request = match_request(spec=spec("acme", "asks", "calm", known=True), mails=mails(5))
    found = examine(request, matcher("asks", asks), matcher("calm", links_all), directory(base=Failing))
    assert faulty(found, "directory") == {1, 2, 3, 4, 5}
    assert faulty(found, "asks") == set()
    assert linked(found, "calm") == [1, 2, 3, 4, 5]
    assert (str(error) or type(error).__name__) in found.faults[0][1].error


def test_a_directory_is_asked_once_however_it_fails() -> None:
    asked = []

    class Counting(Down):
        def find(self, kind: Kind, field: str, values: Iterable[str]) -> Mapping[str, Sequence[Record]]:
            asked.append(kind)
            return super().find(kind, field, values)

    request = match_request(spec=spec("acme", "asks", known=True), mails=mails(50))
    examine(request, matcher("asks", asks), directory(base=Counting))
    assert len(asked) == 1, "halving a batch does not mend a directory"


def says_miss(batch: Sequence[Mail], _: Directory) -> Iterable[Finding]:
    return [Miss(mail.id, "it asks nobody") for mail in batch]


def test_an_operator_without_directory_gets_matchers_that_ask_none() -> None:
    request = match_request(spec=spec("acme", "asks", "calm", bare=True), mails=mails(2))
    found = examine(request, matcher("asks", asks), matcher("calm", says_miss))
    assert {(fault.by, fault.error) for _, fault in found.faults} == {("directory", "the operator has no directory")}
    assert [miss.mail_id for by, miss in found.misses if by == "calm"] == [1, 2]


# --- what can't be built ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ConfigError("these options don't go together"), RuntimeError("a bug"), SystemExit(2)])
def test_P4_a_matcher_that_cannot_be_built_costs_its_own_links_only(error: BaseException) -> None:
    class Unbuilt(Matcher):
        kind = "unbuilt"

        def __init__(self, *_: Any, **__: Any) -> None:
            raise error

        def match(self, batch: Sequence[Mail], known: Directory) -> Iterable[Finding]:
            return links_all(batch, known)

    found = examine(
        match_request(spec=spec("acme", "unbuilt", "calm", "unknown"), mails=mails(2)), Unbuilt, matcher("calm", links_all)
    )
    assert linked(found, "calm") == [1, 2]
    assert faulty(found, "unbuilt") == faulty(found, "unknown") == {1, 2}
    assert str(error) in next(fault.error for _, fault in found.faults if fault.by == "unbuilt")


def test_a_directory_that_cannot_be_built_is_a_fault_and_answers_nobody() -> None:
    matching = LocalMatching(registry(matcher("calm", says_miss)))
    unknown = spec("acme", "calm", known=True)
    found = match_with(matching, match_request(spec=unknown, mails=mails(1)))
    assert (faulty(found, "directory"), [miss.mail_id for _, miss in found.misses]) == ({1}, [1])
    with pytest.raises(PermanentError, match=r"acme has no directory: no plugin offers the directory 'known'"):
        matching.operator(unknown).directory()
    with pytest.raises(PermanentError, match="globetrot has no directory: its file names none"):
        matching.operator(spec("globetrot", bare=True)).directory()
    assert matching.refresh(unknown) == []
    looked = matching.look(unknown)
    ((by, why),) = looked.unbuilt
    assert looked.failed
    assert (by, "no plugin offers the directory 'known'" in why) == ("directory", True)


def test_a_faulty_operator_file_is_a_fault_of_every_mail_and_nothing_is_matched() -> None:
    found = examine(match_request(spec=spec("acme", "calm", faulty=True), mails=mails(2)), matcher("calm", links_all))
    assert (faulty(found, "config"), found.links) == ({1, 2}, ())
    assert "operators/acme.yaml" in found.faults[0][1].error


def test_objects_are_built_once_and_again_when_the_recipe_changes() -> None:
    built: list[str] = []
    closed: list[str] = []

    class Counted(FakeDirectory):
        def refresh(self) -> list[str]:
            built.append(self.operator.name)
            return ["a faulty row"]

        def close(self) -> None:
            closed.append(self.operator.name)
            raise OSError("it promised not to")

    matching = LocalMatching(registry(directory(base=Counted), matcher("calm", links_all)))
    first, other = spec("acme", known=True), spec("globetrot", known=True)
    assert matching.refresh(first) == ["a faulty row"]
    kept = matching.operator(first).directory()
    assert matching.operator(first).directory() is kept
    matching.operator(other).directory()
    changed = spec("acme", "calm", known=True)
    assert matching.operator(changed).directory() is not kept
    assert closed == ["acme"], "what the old spec opened is let go of"
    matching.close()
    assert closed == ["acme", "acme", "globetrot"], "one that raises keeps no other open"


@pytest.mark.parametrize("error", [TransientError("away"), ConfigError("faulty"), KeyError("bug")])
def test_refresh_says_what_is_wrong_and_never_raises(error: Exception) -> None:
    class Stale(FakeDirectory):
        def refresh(self) -> list[str]:
            raise error

    matching = LocalMatching(registry(directory(base=Stale)))
    looked = matching.look(spec(known=True))
    (text,) = looked.faults
    assert str(error) in text
    assert (looked.failed, looked.unbuilt) == (True, ())


def test_a_directory_with_faulty_rows_is_usable_and_so_is_one_that_mended() -> None:
    answers: list[str] = ["fails", "a faulty row"]

    class Mending(FakeDirectory):
        def refresh(self) -> list[str]:
            if answers.pop(0) == "fails":
                raise TransientError("away")
            return ["a faulty row"]

    matching, known = LocalMatching(registry(directory(base=Mending))), spec(known=True)
    assert matching.refresh(known) == ["away"]
    looked = matching.look(known)
    assert (looked.faults, looked.failed) == (("a faulty row",), False)


def test_match_that_returns_none_is_told_what_was_expected() -> None:
    found = examine(match_request(spec=spec("acme", "mute"), mails=mails(1)), matcher("mute", lambda *_: None))  # type: ignore[arg-type]
    ((_, fault),) = found.faults
    assert fault.error == "what `match` returned is None, expected an iterable of findings"


# --- admission ------------------------------------------------------------------------------------------------------------

SALES = (("customer", ("Sales",)),)


def admitted(*contacts: Contact, sender: str = "desk@nord.example", types: tuple[tuple[str, tuple[str, ...]], ...] = SALES) -> bool:
    request = match_request(spec=spec("acme", "calm", known=True), mails=(make_mail(sender=sender),), contact_types=types)
    found = examine(request, directory([NORD], contacts), matcher("calm", links_all))
    assert (found.links == ()) == bool(found.refused), "what is refused is not matched"
    return not found.refused


@pytest.mark.parametrize(
    ("contacts", "expected"),
    [
        ([make_contact(NORD, "desk@nord.example", contact_type="sales")], True),
        ([make_contact(NORD, "DESK@Nord.example", contact_type="SALES")], True),
        ([make_contact(NORD, "desk@nord.example", contact_type="accounts")], False),
        (
            [
                make_contact(NORD, "desk@nord.example", contact_type="accounts"),
                make_contact(NORD, "desk@nord.example", contact_type="sales"),
            ],
            True,
        ),
        ([make_contact(NORD, "desk@nord.example", type="PHONE", contact_type="sales")], False),
        ([make_contact(make_record("supplier", "S1"), "desk@nord.example", contact_type="sales")], False),
        ([make_contact(NORD, "other@nord.example", contact_type="sales")], False),
        ([], False),
    ],
)
def test_only_mail_from_contacts_of_the_named_types_is_admitted(*, contacts: list[Contact], expected: bool) -> None:
    assert admitted(*contacts) is expected


def test_any_of_several_from_addresses_admits_and_none_does_not() -> None:
    contact = make_contact(NORD, "desk@nord.example", contact_type="sales")
    assert admitted(contact, sender="x@example.com, Desk <desk@nord.example>")
    assert not admitted(contact, sender="")
    assert admitted(sender="anybody@example.com", types=())


def test_who_writes_his_address_in_capitals_is_admitted_too() -> None:
    contact = make_contact(NORD, "desk@nord.example", contact_type="sales")
    assert admitted(contact, sender="Desk <DESK@Nord.Example>")


class Aged(FakeDirectory):
    """Answers from what was there before."""

    def contents(self) -> Contents:
        return Contents(version="7", outdated="contacts.csv: the file is gone")


def test_what_a_directory_at_fault_does_not_know_is_not_decided_and_what_it_knows_is() -> None:
    mails = (make_mail(sender="desk@nord.example", mail_id=1), make_mail(sender="new@nord.example", mail_id=2))
    request = match_request(spec=spec("acme", "calm", known=True), mails=mails, contact_types=SALES)
    contact = make_contact(NORD, "desk@nord.example", contact_type="sales")
    found = examine(request, directory([NORD], [contact], base=Aged), matcher("calm", links_all))
    assert (set(found.refused), set(found.pending), found.undecided) == (set(), {2}, "contacts.csv: the file is gone")
    assert [link.mail_id for _, link in found.links] == [1]
    assert found.basis == Basis(loaded_at=None, version="7", fault="contacts.csv: the file is gone")
    # Where all are known, nothing is undecided.
    found = examine(
        replace(request, raw_mails=request.raw_mails[:1]), directory([NORD], [contact], base=Aged), matcher("calm", links_all)
    )
    assert (found.refused, found.pending, found.undecided) == (frozenset(), frozenset(), "")


def test_verdicts_say_by_which_records_they_were_given() -> None:
    before = datetime.now(UTC)
    found = examine(match_request(spec=spec(known=True), mails=mails(1)), directory())
    assert found.basis
    assert found.basis.loaded_at
    assert before <= found.basis.loaded_at <= datetime.now(UTC)
    assert not found.basis.told, "a directory that tells no version may answer otherwise at any time"
    assert examine(match_request(spec=spec(bare=True), mails=mails(1))).basis is None


def test_whom_a_person_has_admitted_is_not_asked_for() -> None:
    mails = (make_mail(sender="a@x.example", mail_id=1), make_mail(sender="b@x.example", mail_id=2))
    request = match_request(spec=spec("acme", "calm", known=True), mails=mails, contact_types=SALES, admitted=frozenset({2}))
    found = examine(request, directory([NORD]), matcher("calm", links_all))
    assert (found.refused, [link.mail_id for _, link in found.links]) == (frozenset({1}), [2])
    # Where nobody is left to be asked for, there need be nobody to ask.
    found = examine(
        match_request(spec=spec("acme", "calm"), mails=mails, contact_types=SALES, admitted={1, 2}), matcher("calm", links_all)
    )
    assert (found.undecided, [link.mail_id for _, link in found.links]) == ("", [1, 2])


@pytest.mark.parametrize("error", [TransientError("away"), KeyError("bug"), SystemExit(1)])
def test_admission_is_undecided_while_the_directory_fails(error: BaseException) -> None:
    class Failing(Contactless):
        pass

    Failing.error = error
    request = match_request(spec=spec("acme", "calm", known=True), mails=mails(2), contact_types=SALES)
    found = examine(request, directory(base=Failing), matcher("calm", links_all))
    assert str(error) in found.undecided
    assert (found.links, found.refused) == ((), frozenset())


def test_admission_is_undecided_where_nothing_can_be_looked_up() -> None:
    for unknowing in (spec(bare=True), spec(faulty=True)):
        found = examine(match_request(spec=unknowing, mails=mails(1), contact_types=SALES))
        assert found.undecided, "mail that the account does not import must not be filed for a faulty operator"
        assert (found.faults, found.refused) == ((), frozenset())


@pytest.mark.parametrize("nonsense", [None, ["desk@nord.example"], {"anna@example.com": None}, {"anna@example.com": ["C1"]}])
def test_a_directory_that_answers_with_nonsense_leaves_admission_undecided(nonsense: Any) -> None:
    class Nonsense(FakeDirectory):
        def contacts(self, *_: Any, **__: Any) -> Mapping[str, Sequence[Contact]]:
            return nonsense  # type: ignore[no-any-return]

    assert examine(match_request(spec=spec(known=True), mails=mails(1), contact_types=SALES), directory(base=Nonsense)).undecided


# --- what comes out -------------------------------------------------------------------------------------------------------


def test_of_two_matchers_that_link_the_same_record_the_first_has_said_it() -> None:
    request = match_request(spec=spec("acme", "second", "first"), mails=mails(2))
    found = examine(request, matcher("first", links_all), matcher("second", links_all))
    assert [(by, link.mail_id) for by, link in found.links] == [("second", 1), ("second", 2)]


def test_rivals_and_misses_are_kept_apart() -> None:
    rivals, miss = Rivals(1, (BOOKING, NORD), "both fit"), Miss(2, "no number in the subject")

    def match(_: Sequence[Mail], known: Directory) -> Iterable[Finding]:
        assert [shelf(known, one) for one in rivals.records] == [BOOKING, NORD]
        return [rivals, miss]

    found = examine(match_request(spec=spec("acme", "says"), mails=mails(2)), matcher("says", match))
    assert (found.rivals, found.misses, found.links) == ((("says", rivals),), (("says", miss),), ())


def test_a_job_and_its_findings_are_picklable() -> None:
    request = match_request(
        spec=OperatorSpec(operator=Operator(name="acme"), directory=None, matchers=(), place=spec().place), mails=mails(2)
    )
    assert pickle.loads(pickle.dumps(request)) == request
    found = examine(match_request(spec=spec("acme", "calm"), mails=mails(2)), matcher("calm", links_all))
    assert pickle.loads(pickle.dumps(found)) == found


def test_P6_two_operators_share_no_directory_and_no_matcher() -> None:
    seen: dict[str, Directory] = {}

    class Remembering(Matcher):
        kind = "remembering"

        def match(self, batch: Sequence[Mail], known: Directory) -> Iterable[Finding]:
            seen[self.operator.name] = known
            return asks(batch, known)

    class Own(FakeDirectory):
        def find(self, *_: Any, **__: Any) -> Mapping[str, Sequence[Record]]:
            return {"B-756": [make_record("reservation", f"of {self.operator.name}")]}

    matching = LocalMatching(registry(Remembering, directory(base=Own)))
    for name in ("acme", "globetrot", "acme"):
        found = match_with(matching, match_request(spec=spec(name, "remembering", known=True), mails=mails(1)))
        assert [link.record.id for _, link in found.links] == [f"of {name}"]
    assert seen["acme"] is not seen["globetrot"]
