from __future__ import annotations

import re
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from gatewayd import Finding, Link, Mail, Miss, Operator, Record, Rivals
from gatewayd.testing import FakeDirectory, make_mail, make_record
from gatewayd.testing.contracts.matching import MatcherContract
from gatewayd_reservations.matcher import Reservations
from gatewayd_reservations.options import ReservationsOptions

ACME = Operator(name="acme", brands=("DB1", "DB2"))


def booking(record_id: str, code: str) -> Record:
    return make_record("reservation", record_id, code=code)


RECORDS = (
    booking("R1", "B-756"),
    booking("R2", "O-DB1-324"),
    booking("R3", "L-9"),
    booking("R4", "O-DB2-9"),
    booking("R5", "B-007"),
    booking("R6", "B-XX-55"),
    booking("R7", "V-88"),
)


class TestReservationsContract(MatcherContract):
    matcher = Reservations
    records = RECORDS
    mails: ClassVar = (
        make_mail(subject="test mail subject 756 and 324"),
        make_mail(subject="9, 9 and 09"),
        make_mail(subject="no number"),
        make_mail(subject=""),
    )
    max_questions = 1


class TestReservationsContractEverywhere(MatcherContract):
    matcher = Reservations
    options = ReservationsOptions(places=("text", "subject", "attachments"), pattern=r"#([0-9]+)")
    records = RECORDS
    mails: ClassVar = (make_mail(subject="#9", text="see #756"), make_mail(attachments={"voucher #324.pdf": b"x"}))
    max_questions = 1


def asked(mail: Mail, *records: Record, operator: Operator = ACME, **options: object) -> tuple[list[Finding], FakeDirectory]:
    directory = FakeDirectory(records or RECORDS)
    return list(Reservations(ReservationsOptions.model_validate(options), operator=operator).match([mail], directory)), directory


def links(findings: list[Finding]) -> dict[str, str]:
    return {finding.record.id: finding.because for finding in findings if isinstance(finding, Link)}


def codes(directory: FakeDirectory) -> set[str]:
    return {code for question in directory.questions for code in question.values}


def test_the_manuals_example_is_linked_by_each_of_its_numbers() -> None:
    found, directory = asked(make_mail(subject="test mail subject 756 and 324"))
    assert links(found) == {"R1": "booking code B-756 by 756 in the subject", "R2": "booking code O-DB1-324 by 324 in the subject"}
    assert codes(directory) == {
        *("B-756", "O-756", "L-756", "B-DB1-756", "O-DB1-756", "L-DB1-756", "B-DB2-756", "O-DB2-756", "L-DB2-756"),
        *("B-324", "O-324", "L-324", "B-DB1-324", "O-DB1-324", "L-DB1-324", "B-DB2-324", "O-DB2-324", "L-DB2-324"),
    }
    assert len(directory.questions) == 1


def test_several_records_for_a_number_are_rivals_and_no_link() -> None:
    found, _ = asked(make_mail(subject="about 9"))
    assert len(found) == 1
    assert isinstance(found[0], Rivals)
    assert [record.id for record in found[0].records] == ["R3", "R4"]
    assert found[0].because == "booking code L-9, O-DB2-9 by 9 in the subject"
    found, _ = asked(make_mail(subject="about 9"), booking("R1", "B-9"), booking("R2", "B-9"))
    assert isinstance(found[0], Rivals)


def test_a_number_that_is_decided_does_not_wait_for_one_that_is_not() -> None:
    found, _ = asked(make_mail(subject="9 and 756 and 11"))
    assert [type(finding) for finding in found] == [Rivals, Link, Miss]


def test_leading_zeros_belong_to_the_number() -> None:
    assert links(asked(make_mail(subject="007"))[0]).keys() == {"R5"}
    assert links(asked(make_mail(subject="7"))[0]) == {}


def test_runs_are_taken_whole_and_only_ascii_digits_count() -> None:
    _, directory = asked(make_mail(subject="x12345y ٧٥٦ \uff17\uff15\uff16 1.234,56"))
    assert {code for code in codes(directory) if re.fullmatch(r"B-[^-]+", code)} == {"B-12345", "B-1", "B-234", "B-56"}


def test_each_number_is_asked_once_the_first_fifty_and_none_longer_than_twenty_digits() -> None:
    subject = f"{'1' * 21} {'2' * 20} 5 5 5 " + " ".join(str(number) for number in range(1000, 1100))
    _, directory = asked(make_mail(subject=subject), operator=Operator(name="plain"), prefixes=["B"])
    assert codes(directory) == {f"B-{'2' * 20}", "B-5", *(f"B-{number}" for number in range(1000, 1048))}


def test_a_record_found_by_two_numbers_is_linked_once_with_both_reasons() -> None:
    found, _ = asked(make_mail(subject="1 and 2"), *(make_record("reservation", "R1", code=code) for code in ("B-1", "B-2")))
    assert found == [
        Link(
            1,
            make_record("reservation", "R1", code="B-1"),
            "booking code B-1 by 1 in the subject; booking code B-2 by 2 in the subject",
        )
    ]


def test_the_same_rivals_for_two_numbers_are_said_once() -> None:
    records = [booking(f"R{n}", f"{prefix}-{number}") for n, prefix in enumerate("BO") for number in (1, 2)]
    found, _ = asked(make_mail(subject="1 and 2"), *records)
    assert len(found) == 1
    assert isinstance(found[0], Rivals)


def test_misses_say_why() -> None:
    assert asked(make_mail(subject="hello"))[0] == [Miss(1, "no number in the subject")]
    found, _ = asked(make_mail(subject="12 13"), prefixes=["B"])
    assert found == [
        Miss(
            1,
            "no reservation has a booking code for 12 in the subject: looked for B-12, B-DB1-12, B-DB2-12; "
            "no reservation has a booking code for 13 in the subject: looked for B-13, B-DB1-13, B-DB2-13",
        )
    ]
    (miss,), _ = asked(make_mail(subject="12"), prefixes=["B", "O", "L", "Q", "R"])
    assert isinstance(miss, Miss)
    assert miss.because.endswith(", R-DB1-12, B-DB2-12, O-DB2-12, ..."), "there may be very many"
    assert asked(make_mail(), places=["subject", "text"])[0] == [Miss(1, "no number in the subject or the text")]


def test_nothing_is_asked_where_there_is_no_number() -> None:
    assert asked(make_mail(subject="hello"))[1].questions == []


def test_prefixes_and_brands_are_options() -> None:
    assert links(asked(make_mail(subject="88"), prefixes=["V"])[0]).keys() == {"R7"}
    assert links(asked(make_mail(subject="55 324"), brands=["XX"])[0]).keys() == {"R6"}
    assert links(asked(make_mail(subject="55 324 756"), brands=[])[0]).keys() == {"R1"}
    assert codes(asked(make_mail(subject="1"), operator=Operator(name="plain"))[1]) == {"B-1", "O-1", "L-1"}


def test_places_are_an_option_and_the_subject_is_the_default() -> None:
    mail = make_mail(subject="9", text="please see 756", attachments={"voucher 324.pdf": b"x"})
    assert links(asked(mail)[0]) == {}
    assert links(asked(mail, places=["text"])[0]) == {"R1": "booking code B-756 by 756 in the text"}
    assert links(asked(mail, places=["attachments"])[0]) == {"R2": "booking code O-DB1-324 by 324 in the name of an attachment"}


def test_a_pattern_may_name_the_number_by_a_group() -> None:
    mail = make_mail(subject="ref#756, room 324, ref#")
    assert links(asked(mail, pattern="ref#([0-9]+)?")[0]).keys() == {"R1"}


@pytest.mark.parametrize("pattern", ["(", "(a)(b)", "a{99999999999}", "", "[0-9]+" * 1000])
def test_a_pattern_that_cannot_work_is_refused_when_the_config_is_read(pattern: str) -> None:
    with pytest.raises(ValidationError, match="pattern"):
        ReservationsOptions(pattern=pattern)


@pytest.mark.parametrize(
    "bad", [{"prefixes": []}, {"prefixes": [1]}, {"places": ["body"]}, {"places": []}, {"brands": "DB1"}, {"x": 1}]
)
def test_other_bad_options_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ReservationsOptions.model_validate(bad)


def test_text_is_bounded_and_no_number_is_cut_in_two() -> None:
    mail = make_mail(text="x" * 65530 + " 756123 after")
    assert len(mail.text) > 65536
    assert codes(asked(mail, booking("R1", "B-75612"), places=["text"])[1]) == set()
    assert codes(asked(make_mail(text="756 " + "x" * 70000), places=["text"])[1]) >= {"B-756"}


# --- the manual, word by word, as an oracle ---------------------------------------------------------------------------


def oracle(mail: Mail, records: list[Record], brands: tuple[str, ...]) -> tuple[set[str], set[frozenset[str]]]:
    linked, rivals = set(), set()
    groups: list[str] = []
    for run in re.split("[^0-9]+", mail.subject):
        if run and len(run) <= 20 and run not in groups:
            groups.append(run)
    for n in groups[:50]:
        wanted = {f"{p}-{n}" for p in "BOL"} | {f"{p}-{brand}-{n}" for p in "BOL" for brand in brands}
        fitting = {record.id for record in records if record.get("code") in wanted}
        if len(fitting) == 1:
            linked |= fitting
        elif fitting:
            rivals.add(frozenset(fitting))
    return linked, rivals


NUMBER = st.sampled_from(["1", "2", "3", "01", "12"])
CODE = st.builds(lambda p, b, n: f"{p}-{b}{n}", st.sampled_from("BOLX"), st.sampled_from(["", "DB1-", "DB2-", "DB3-"]), NUMBER)
SUBJECT = st.lists(st.one_of(NUMBER, st.sampled_from(["a", "Ü", "٣", "9" * 21, "-", "²"])), max_size=8).map(" ".join)


@settings(max_examples=300)
@given(
    bookings=st.lists(CODE, max_size=12),
    subjects=st.lists(SUBJECT, max_size=4),
    brands=st.sampled_from([(), ("DB1",), ("DB1", "DB2")]),
)
def test_it_says_what_the_manual_says(bookings: list[str], subjects: list[str], brands: tuple[str, ...]) -> None:
    records = [booking(f"R{number}", code) for number, code in enumerate(bookings)]
    mails = [make_mail(subject=subject, mail_id=number) for number, subject in enumerate(subjects)]
    matcher = Reservations(ReservationsOptions(), operator=Operator(name="acme", brands=brands))
    findings = list(matcher.match(mails, FakeDirectory(records)))
    for mail in mails:
        mine = [finding for finding in findings if finding.mail_id == mail.id]
        linked = [finding.record.id for finding in mine if isinstance(finding, Link)]
        rivals = [frozenset(record.id for record in finding.records) for finding in mine if isinstance(finding, Rivals)]
        assert len(linked) == len(set(linked))
        assert (set(linked), set(rivals)) == oracle(mail, records, brands)
