"""Test classes for matchers and directories: derive from them."""

from __future__ import annotations

import pickle
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, ClassVar

import pytest

from gatewayd import Contact, Directory, Follows, Link, Mail, Matcher, Miss, Operator, Record, Rivals
from gatewayd.message.mail import BytesSource, parse
from gatewayd.testing.fakes import FakeDirectory, make_contact, make_mail, make_record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gatewayd import Finding

__all__ = ["DirectoryContract", "MatcherContract"]


@cache
def _broken_mails() -> tuple[Mail, ...]:
    # Only one test needs the many of them, and they take seconds to read: once for all matchers.
    from gatewayd.testing.messages import malformed_messages  # noqa: PLC0415

    return tuple(parse(BytesSource(raw), mail_id=number) for number, (_, raw) in enumerate(malformed_messages(), start=1))


class MatcherContract:
    """Derive a test class from it, say what to test, and let pytest run it.

        class TestVouchers(MatcherContract):
            matcher = Vouchers
            mails = (make_mail(subject="Voucher V12345678"), make_mail(subject="nothing"))
            records = (make_record("reservation", "R1", code="12345678"),)

    Give mails of which at least one is linked, or follows another; their ids are set here.
    """

    #: The class to test, its options and the operator whose matcher it is.
    matcher: ClassVar[type[Matcher]]
    options: ClassVar[Matcher.Options | None] = None
    operator: ClassVar[Operator] = Operator(name="acme", title="Acme Tours", brands=("DB1", "DB2"))
    #: Sample mails, and what the operator's directory knows.
    mails: ClassVar[Sequence[Mail]]
    records: ClassVar[Sequence[Record]] = ()
    contacts: ClassVar[Sequence[Contact]] = ()
    #: How many questions the directory may be asked a batch, however many mails it has.
    max_questions: ClassVar[int] = 5

    def build(self) -> Matcher:
        """Return a new matcher as the kernel builds it."""
        return self.matcher(self.options or self.matcher.Options(), operator=self.operator)

    def ask(self, mails: Sequence[Mail]) -> tuple[list[Finding], FakeDirectory]:
        """Return what a new matcher says of the mails, and the directory with the questions it was asked."""
        directory = FakeDirectory(self.records, self.contacts)
        return list(self.build().match(mails, directory)), directory

    def batch(self, times: int = 1) -> list[Mail]:
        """Return the sample mails, again and again, each with an id of its own."""
        samples = [mail for _ in range(times) for mail in self.mails]
        return [parse(mail.source, mail_id=number, received_at=mail.received_at) for number, mail in enumerate(samples, start=1)]

    def test_it_links_something_of_the_sample(self) -> None:
        assert any(isinstance(finding, Link | Follows) for finding in self.ask(self.batch())[0])

    def test_it_speaks_of_the_batch_only_and_says_why(self) -> None:
        mails = self.batch()
        for finding in self.ask(mails)[0]:
            assert isinstance(finding, Link | Rivals | Miss | Follows)
            assert finding.mail_id in {mail.id for mail in mails}
            assert finding.because.strip()

    def test_it_links_a_record_to_a_mail_once(self) -> None:
        links = [(f.mail_id, f.record.kind, f.record.id) for f in self.ask(self.batch())[0] if isinstance(f, Link)]
        assert len(links) == len(set(links))

    def test_rivals_are_several(self) -> None:
        for finding in self.ask(self.batch())[0]:
            if isinstance(finding, Rivals):
                assert len({(record.kind, record.id) for record in finding.records}) > 1

    def test_a_larger_batch_asks_no_more_questions(self) -> None:
        few, many = self.ask(self.batch())[1].questions, self.ask(self.batch(times=30))[1].questions
        assert len(many) <= max(len(few), 1)
        assert len(many) <= self.max_questions

    def test_a_batch_says_what_its_mails_say_one_by_one(self) -> None:
        together, _ = self.ask(self.batch())
        alone = [finding for mail in self.batch() for finding in self.ask([mail])[0]]
        assert Counter(together) == Counter(alone)

    def test_it_keeps_nothing_between_calls(self) -> None:
        matcher, directory = self.build(), FakeDirectory(self.records, self.contacts)
        first = list(matcher.match(self.batch(), directory))
        list(matcher.match([make_mail(subject="something else", mail_id=10**6)], FakeDirectory()))
        assert list(matcher.match(self.batch(), directory)) == first

    def test_an_empty_batch_says_and_asks_nothing(self) -> None:
        findings, directory = self.ask([])
        assert findings == []
        assert directory.questions == []

    def test_broken_mail_does_not_break_it(self) -> None:
        mails = _broken_mails()
        findings, directory = self.ask(mails)
        assert {finding.mail_id for finding in findings} <= {mail.id for mail in mails}
        assert len(directory.questions) <= self.max_questions

    def test_class_options_and_findings_travel_between_processes(self) -> None:
        spec = pickle.loads(pickle.dumps((self.matcher, self.options or self.matcher.Options(), self.operator)))  # noqa: S301  our own bytes
        matcher = spec[0](spec[1], operator=spec[2])
        findings = list(matcher.match(self.batch(), FakeDirectory(self.records, self.contacts)))
        assert pickle.loads(pickle.dumps(findings)) == self.ask(self.batch())[0]  # noqa: S301  our own bytes

    def test_every_option_is_described(self) -> None:
        lacking = [name for name, field in self.matcher.Options.model_fields.items() if not field.description]
        assert lacking == []


_ANNA = make_record("person", "P1", "Anna Nováková", email="Anna@Example.com;anna@home.example")
_BERND = make_record("person", "P2", "Bernd", email="anna@example.com", temporary="yes")
_CLARA = make_record("person", "P3", "Clara O'Hara", email="anna@example.com")
_NORD = make_record("customer", "C1", "Nord GmbH", main_contact="P1")
_SUED = make_record("customer", "C2", "SÜD Reisen", main_contact="P1")
_HOTEL = make_record("supplier", "C1", "Hotel Roma", main_contact="P3")


class DirectoryContract:
    """Derive a test class from it, and say how to build a directory that holds given records and contacts."""

    records: ClassVar[Sequence[Record]] = (
        *(_ANNA, _BERND, _CLARA, _NORD, _SUED, _HOTEL),
        make_record("reservation", "R1", code="B-756", title="Rome"),
        make_record("reservation", "R2", code="O-756", title="Rome again"),
        make_record("reservation", "R3", code="B-756", title="Rome, twice"),
        *(make_record("reservation", f"X{number}", code=f"L-{number}") for number in range(10_000, 13_000)),
        make_record("quote", "Q1", code="Q-1", title="Safari"),
        make_record("invoice", "I1", code="I-1", title="Deposit"),
        make_record("product", "A1", code="ROMA", title="Città eterna"),
    )
    contacts: ClassVar[Sequence[Contact]] = (
        make_contact(_NORD, "Desk@Nord.example", contact_type="sales"),
        make_contact(_NORD, "+49 30 1", type="PHONE"),
        make_contact(_HOTEL, "desk@nord.example"),
    )

    def build(self, folder: Path) -> Directory:
        """Return a directory that holds ``records`` and ``contacts``, as the kernel builds it; ``folder`` may be used."""
        raise NotImplementedError

    @pytest.fixture
    def directory(self, tmp_path: Path) -> Iterator[Directory]:
        """Give the directory, refreshed; it is closed after the test."""
        built = self.build(tmp_path)
        assert built.refresh() == []
        yield built
        built.close()

    def test_persons_are_found_by_address_without_case_and_temporary_ones_are_not(self, directory: Directory) -> None:
        found = directory.persons({"ANNA@example.COM", "anna@HOME.example", "nobody@example.com"})
        assert _ids(found) == {"anna@example.com": ["P1", "P3"], "anna@home.example": ["P1"]}
        assert {person.label for person in found["anna@example.com"]} == {"Anna Nováková", "Clara O'Hara"}

    def test_contacts_are_found_by_address_without_case_with_their_record(self, directory: Directory) -> None:
        found = directory.contacts({"DESK@nord.example", "+49 30 1", "nobody@example.com"})
        assert list(found) == ["desk@nord.example"]
        said = {
            (contact.record.kind, contact.record.id, contact.record.label, contact.contact_type)
            for contact in found["desk@nord.example"]
        }
        assert said == {("customer", "C1", "Nord GmbH", "sales"), ("supplier", "C1", "Hotel Roma", "")}
        assert {contact.type for contact in found["desk@nord.example"]} == {"EMAIL"}

    def test_records_are_found_by_main_contact_within_their_kind(self, directory: Directory) -> None:
        assert _ids(directory.find("customer", "main_contact", {"P1", "P3"})) == {"P1": ["C1", "C2"]}
        assert _ids(directory.find("supplier", "main_contact", {"P1", "P3"})) == {"P3": ["C1"]}

    def test_records_are_found_by_id_name_code_and_other_columns(self, directory: Directory) -> None:
        assert directory.find("customer", "id", {"C1"})["C1"][0].label == "Nord GmbH"
        assert _ids(directory.find("customer", "name", {"SÜD Reisen", "süd reisen"})) == {"SÜD Reisen": ["C2"]}
        assert _ids(directory.find("reservation", "title", {"Rome"})) == {"Rome": ["R1"]}
        assert directory.find("reservation", "no such column", {"Rome"}) == {}
        for kind, code in (("quote", "Q-1"), ("invoice", "I-1"), ("product", "ROMA")):
            assert list(directory.find(kind, "code", {code, "X"})) == [code]  # type: ignore[arg-type]

    def test_all_reservations_of_a_code_are_found(self, directory: Directory) -> None:
        found = directory.reservations({"B-756", "O-756", "b-756", "L-756"})
        assert _ids(found) == {"B-756": ["R1", "R3"], "O-756": ["R2"]}
        assert {record.get("code") for records in found.values() for record in records} == {"B-756", "O-756"}

    def test_thousands_of_values_are_one_question(self, directory: Directory) -> None:
        found = directory.reservations({f"L-{number}" for number in range(9_000, 13_000)})
        assert len(found) == 3_000  # noqa: PLR2004  as many as there are above
        assert found["L-10007"][0].id == "X10007"

    def test_nothing_asked_is_nothing_found_even_before_the_first_refresh(self, tmp_path: Path) -> None:
        built = self.build(tmp_path)
        assert (built.persons(()), built.contacts([]), built.reservations(set()), built.find("person", "id", ())) == (
            {},
            {},
            {},
            {},
        )

    @pytest.mark.parametrize("value", ["'; DROP TABLE persons; --", '"', "%", "_", "\\", "a\0b", "\udc80@x", "", " ", "ß" * 5000])
    def test_odd_values_find_nothing_and_break_nothing(self, directory: Directory, value: str) -> None:
        assert (directory.persons({value}), directory.contacts({value}), directory.reservations({value})) == ({}, {}, {})
        assert directory.find("customer", "name", {value, "Nord GmbH"}).keys() == {"Nord GmbH"}
        assert list(directory.search("customer", f"{value} x")) == []
        assert _ids(directory.reservations({"O-756"})) == {"O-756": ["R2"]}

    def test_search_wants_every_word_wherever_it_stands(self, directory: Directory) -> None:
        assert [record.id for record in directory.search("customer", "reisen süd")] == ["C2"]
        assert [record.id for record in directory.search("reservation", "o-756 ROME")] == ["R2"]
        assert [record.id for record in directory.search("product", "CITTÀ")] == ["A1"]
        assert [record.id for record in directory.search("person", "o'hara")] == ["P3"]
        assert list(directory.search("customer", "reisen nord")) == list(directory.search("customer", "  ")) == []

    def test_search_finds_the_exact_one_first_and_no_more_than_asked(self, directory: Directory) -> None:
        found = directory.search("reservation", "L-12345", limit=5)
        assert found[0].id == "X12345"
        assert len(directory.search("reservation", "l-1", limit=7)) == 7  # noqa: PLR2004  the limit

    def test_a_second_refresh_says_nothing_and_changes_nothing(self, directory: Directory) -> None:
        before = directory.reservations({"B-756"})
        assert directory.refresh() == []
        assert directory.reservations({"B-756"}) == before

    def test_it_closes(self, directory: Directory) -> None:
        directory.close()


def _ids(found: object) -> dict[str, list[str]]:
    assert hasattr(found, "items")
    return {value: sorted(record.id for record in records) for value, records in found.items()}
