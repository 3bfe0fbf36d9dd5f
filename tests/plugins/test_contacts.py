from __future__ import annotations

from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from gatewayd import Contact, Finding, Kind, Link, Mail, Miss, Operator, Record
from gatewayd.testing import FakeDirectory, make_contact, make_mail, make_record
from gatewayd.testing.contracts.matching import MatcherContract
from gatewayd_contacts.matcher import Contacts
from gatewayd_contacts.options import ContactsOptions

ANNA = make_record("person", "P1", "Anna", email="anna@nord.example")
ANNA_TOO = make_record("person", "P2", "Anna Two", email="ANNA@nord.example;anna@home.example")
TEMP = make_record("person", "P3", "Temp", email="temp@nord.example", temporary="yes")
CARL = make_record("person", "P4", "Carl", email="carl@nord.example")
NORD = make_record("customer", "C1", "Nord GmbH", main_contact="P1")
SUED = make_record("customer", "C2", "Süd GmbH", main_contact="P1")
OST = make_record("customer", "C3", "Ost GmbH", main_contact="P3")
HOTEL = make_record("supplier", "C1", "Hotel", main_contact="P4")
RECORDS = (ANNA, ANNA_TOO, TEMP, CARL, NORD, SUED, OST, HOTEL)
CONTACTS = (
    make_contact(OST, "Anna@Nord.example"),
    make_contact(OST, "carl@nord.example"),
    make_contact(NORD, "desk@nord.example", contact_type="sales"),
    make_contact(SUED, "desk@nord.example"),
    make_contact(HOTEL, "DESK@nord.example"),
    make_contact(HOTEL, "phone@nord.example", type="PHONE"),
)


class TestContactsContract(MatcherContract):
    matcher = Contacts
    records = RECORDS
    contacts = CONTACTS
    mails: ClassVar = (
        make_mail(sender="Anna <ANNA@Nord.example>"),
        make_mail(sender="temp@nord.example"),
        make_mail(sender="carl@nord.example, desk@nord.example"),
        make_mail(sender="desk@nord.example"),
        make_mail(sender=""),
    )
    max_questions = 4


def asked(*senders: str, **options: object) -> tuple[list[list[Finding]], FakeDirectory]:
    directory = FakeDirectory(RECORDS, CONTACTS)
    matcher = Contacts(ContactsOptions.model_validate(options), operator=Operator(name="acme"))
    findings = list(matcher.match([make_mail(sender=sender, mail_id=n) for n, sender in enumerate(senders)], directory))
    return [[finding for finding in findings if finding.mail_id == n] for n in range(len(senders))], directory


def links(findings: list[Finding]) -> dict[tuple[str, str], str]:
    return {(finding.record.kind, finding.record.id): finding.because for finding in findings if isinstance(finding, Link)}


def misses(findings: list[Finding]) -> list[str]:
    return [finding.because for finding in findings if isinstance(finding, Miss)]


def test_all_persons_with_the_address_and_the_customers_they_lead_are_linked() -> None:
    (found,), _ = asked("Somebody <ANNA@NORD.example>")
    assert links(found) == {
        ("person", "P1"): "the sender's address anna@nord.example is this person's",
        ("person", "P2"): "the sender's address anna@nord.example is this person's",
        ("customer", "C1"): "the sender Anna (anna@nord.example) is its main contact",
        ("customer", "C2"): "the sender Anna (anna@nord.example) is its main contact",
    }
    assert misses(found) == ["no supplier has the sender as its main contact, or anna@nord.example as an EMAIL contact"]


def test_where_no_customer_came_from_a_person_the_email_contacts_count() -> None:
    (carl, desk), _ = asked("carl@nord.example", "desk@nord.example")
    assert ("customer", "C3") in links(carl), "Carl leads a supplier, but no customer"
    assert links(desk) == {
        ("customer", "C1"): "the sender's address desk@nord.example is an EMAIL contact of it",
        ("customer", "C2"): "the sender's address desk@nord.example is an EMAIL contact of it",
        ("supplier", "C1"): "the sender's address desk@nord.example is an EMAIL contact of it",
    }
    assert misses(desk) == ["no person has the sender's address desk@nord.example"]


def test_customers_and_suppliers_are_decided_apart() -> None:
    (carl,), _ = asked("carl@nord.example")
    assert links(carl).keys() == {("person", "P4"), ("supplier", "C1"), ("customer", "C3")}
    assert links(carl)["supplier", "C1"] == "the sender Carl (carl@nord.example) is its main contact"


def test_a_temporary_person_is_nobody_and_leads_nothing() -> None:
    (temp,), _ = asked("temp@nord.example")
    assert links(temp) == {}
    assert len(misses(temp)) == 3


def test_other_contacts_than_email_do_not_count() -> None:
    (found,), _ = asked("phone@nord.example")
    assert links(found) == {}


def test_all_from_addresses_of_a_mail_are_used() -> None:
    (found,), _ = asked("Carl <carl@nord.example>, anna@home.example, x@nowhere.example")
    assert links(found).keys() == {("person", "P4"), ("person", "P2"), ("supplier", "C1"), ("customer", "C3")}
    (nobody,), _ = asked(", ".join(f"{name}@nowhere.example" for name in "abcde"))
    assert misses(nobody)[0].endswith("a@nowhere.example or b@nowhere.example or c@nowhere.example or 2 others")


def test_mail_without_from_asks_nothing() -> None:
    (found,), directory = asked("")
    assert misses(found) == ["it has no From address"]
    assert directory.questions == []


def test_a_batch_asks_for_persons_once_main_contacts_once_a_kind_and_contacts_once() -> None:
    _, directory = asked("anna@nord.example", "carl@nord.example", "desk@nord.example", "x@nowhere.example")
    assert [(question.method, question.kind) for question in directory.questions] == [
        ("persons", ""),
        ("find", "customer"),
        ("find", "supplier"),
        ("contacts", ""),
    ]
    _, directory = asked("x@nowhere.example")
    assert [question.method for question in directory.questions] == ["persons", "contacts"], "nobody found leads nothing"


def test_contacts_are_asked_only_for_mail_that_needs_them() -> None:
    _, directory = asked("anna@nord.example", kinds=["customer"])
    assert [question.method for question in directory.questions] == ["persons", "find"]


def test_the_kinds_to_link_are_an_option() -> None:
    (found,), _ = asked("carl@nord.example", kinds=["supplier"])
    assert links(found).keys() == {("person", "P4"), ("supplier", "C1")}
    for bad in ([], ["person"], "customer"):
        with pytest.raises(ValidationError):
            ContactsOptions.model_validate({"kinds": bad})


# --- the manual, word by word, as an oracle ---------------------------------------------------------------------------


def oracle(mail: Mail, records: list[Record], contacts: list[Contact]) -> set[tuple[str, str]]:
    senders = {address.email.lower() for address in mail.from_}
    persons = [
        record
        for record in records
        if record.kind == "person"
        and record.get("temporary") != "yes"
        and senders & {email.lower() for email in record.get("email").split(";")}
    ]
    related = {("person", person.id) for person in persons}
    kinds: tuple[Kind, ...] = ("customer", "supplier")
    for kind in kinds:
        owners = {r.id for r in records if r.kind == kind and r.get("main_contact") in {person.id for person in persons}}
        if not owners:
            owners = {c.record.id for c in contacts if c.record.kind == kind and c.type == "EMAIL" and c.value.lower() in senders}
        related |= {(kind, owner) for owner in owners}
    return related


EMAIL = st.sampled_from(["a@x.example", "A@x.example", "b@x.example", "B@Y.example", "c@z.example"])
PERSON = st.builds(
    lambda number, emails, temporary: make_record("person", f"P{number}", email=";".join(emails), temporary=temporary),
    st.integers(1, 6),
    st.lists(EMAIL, min_size=1, max_size=3),
    st.sampled_from(["yes", "no"]),
)
OWNER = st.builds(
    lambda kind, number, lead: make_record(kind, f"C{number}", main_contact=f"P{lead}"),
    st.sampled_from(["customer", "supplier"]),
    st.integers(1, 4),
    st.integers(1, 6),
)


@settings(max_examples=200)
@given(data=st.data())
def test_it_says_what_the_manual_says(data: st.DataObject) -> None:
    records = data.draw(st.lists(st.one_of(PERSON, OWNER), max_size=12, unique_by=lambda record: (record.kind, record.id)))
    owners = [record for record in records if record.kind != "person"]
    owner = st.sampled_from(owners) if owners else st.nothing()
    contacts = (
        data.draw(
            st.lists(
                st.builds(lambda o, e, t: make_contact(o, e, type=t), owner, EMAIL, st.sampled_from(["EMAIL", "PHONE"])), max_size=6
            )
        )
        if owners
        else []
    )
    senders = data.draw(st.lists(st.lists(EMAIL, max_size=3), max_size=4))
    mails = [make_mail(sender=", ".join(emails), mail_id=number) for number, emails in enumerate(senders)]
    matcher = Contacts(ContactsOptions(), operator=Operator(name="acme"))
    findings = list(matcher.match(mails, FakeDirectory(records, contacts)))
    for mail in mails:
        said = [(f.record.kind, f.record.id) for f in findings if isinstance(f, Link) and f.mail_id == mail.id]
        assert len(said) == len(set(said))
        assert set(said) == oracle(mail, records, contacts)
