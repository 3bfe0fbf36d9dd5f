"""Make mail and records for tests of matchers, and a directory in memory that remembers its questions."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from gatewayd import Contact, Directory, Folders, Operator, Record
from gatewayd.message.mail import BytesSource, parse

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from gatewayd import Kind, Mail

_Found = TypeVar("_Found")

__all__ = ["FakeDirectory", "Question", "make_contact", "make_mail", "make_record"]


def make_mail(
    *,
    subject: str = "",
    sender: str = "anna@example.com",
    text: str = "",
    mail_id: int = 1,
    attachments: Mapping[str, bytes] | None = None,
) -> Mail:
    """Return the view of a message with these contents, parsed from raw bytes as a received one is.

    ``sender`` is the From header: one address or several, with or without names; empty for a message without one.

    >>> make_mail(subject="Voucher V12345678", mail_id=7).subject
    'Voucher V12345678'
    """
    message = EmailMessage(policy=SMTP)
    if sender:
        message["From"] = sender
    message["To"] = "reservations@example.com"
    message["Subject"] = subject
    message["Message-ID"] = f"<{mail_id}@example.com>"
    message.set_content(text)
    for name, content in (attachments or {}).items():
        message.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return parse(BytesSource(message.as_bytes()), mail_id=mail_id)


def make_record(kind: Kind, record_id: str, label: str = "", **fields: str) -> Record:
    """Return a record; without a label its code and title, or its id, make one, as in the directory ``csv``.

    >>> make_record("reservation", "R9", code="B-756", title="Rome").label
    'B-756 Rome'
    """
    made = " ".join(part for part in (fields.get("code", ""), fields.get("title", "")) if part)
    return Record(kind=kind, id=record_id, label=label or made or record_id, fields=tuple(fields.items()))


def make_contact(owner: Record, value: str, *, type: str = "EMAIL", contact_type: str = "") -> Contact:  # noqa: A002  the column's name
    """Return a contact of a customer or supplier."""
    return Contact(record=owner, type=type, value=value, contact_type=contact_type)


@dataclass(frozen=True, slots=True)
class Question:
    """One question that a directory was asked."""

    #: The method's name.
    method: str
    #: What was asked for, and of which kind and field where the method has them.
    values: frozenset[str]
    kind: str = ""
    field: str = ""


class FakeDirectory(Directory):
    """A directory of plain records. It answers as the contract says and remembers every question.

    Persons have their addresses in the field ``email``, separated by ``;``; ``temporary="yes"`` makes a person temporary.

    >>> directory = FakeDirectory([make_record("reservation", "R9", code="B-756")])
    >>> directory.reservations({"B-756"})["B-756"][0].id
    'R9'
    >>> directory.questions
    [Question(method='find', values=frozenset({'B-756'}), kind='reservation', field='code')]
    """

    kind = "fake"

    def __init__(self, records: Iterable[Record] = (), contacts: Iterable[Contact] = ()) -> None:
        place = Folders(config=Path(), state=Path())
        super().__init__(Directory.Options(), operator=Operator(name="fake"), place=place)
        self.records = tuple(records)
        self.known_contacts = tuple(contacts)
        #: Every question so far, oldest first.
        self.questions: list[Question] = []

    def refresh(self) -> list[str]:
        """See ``Directory``."""
        return []

    def find(self, kind: Kind, field: str, values: Collection[str]) -> Mapping[str, Sequence[Record]]:
        """See ``Directory``."""
        self._remember(Question("find", frozenset(values), kind, field))
        return _grouped(((value, record) for record in self._of(kind) for value in _values(record, field)), set(values))

    def persons(self, emails: Collection[str]) -> Mapping[str, Sequence[Record]]:
        """See ``Directory``."""
        self._remember(Question("persons", frozenset(emails)))
        known = [person for person in self._of("person") if person.get("temporary") != "yes"]
        return _grouped(((email, person) for person in known for email in _emails(person)), _lower(emails))

    def contacts(self, emails: Collection[str]) -> Mapping[str, Sequence[Contact]]:
        """See ``Directory``."""
        self._remember(Question("contacts", frozenset(emails)))
        known = [contact for contact in self.known_contacts if contact.type == "EMAIL"]
        return _grouped(((contact.value.lower(), contact) for contact in known), _lower(emails))

    def search(self, kind: Kind, text: str, *, limit: int = 20) -> Sequence[Record]:
        """See ``Directory``."""
        self._remember(Question("search", frozenset({text}), kind))
        terms = text.casefold().split()
        searched = [(record, f"{record.id} {record.get('code')} {record.label}".casefold()) for record in self._of(kind)]
        found = [record for record, shown in searched if terms and all(word in shown for word in terms)]
        return tuple(
            sorted(found, key=lambda record: text.casefold() not in (record.id.casefold(), record.get("code").casefold()))[:limit]
        )

    def _remember(self, question: Question) -> None:
        # Who asks for nothing has asked nothing.
        if question.values:
            self.questions.append(question)

    def _of(self, kind: Kind) -> list[Record]:
        return [record for record in self.records if record.kind == kind]


def _grouped(found: Iterable[tuple[str, _Found]], asked: set[str]) -> dict[str, list[_Found]]:
    """Sort what there is by what was asked for; an empty value is nobody's."""
    groups: dict[str, list[_Found]] = {}
    for value, one in found:
        if value and value in asked:
            groups.setdefault(value, []).append(one)
    return groups


def _values(record: Record, field: str) -> tuple[str, ...]:
    if field == "email" and record.kind == "person":
        return _emails(record)
    return ({"id": record.id, "name": record.label}.get(field, record.get(field)),)


def _emails(person: Record) -> tuple[str, ...]:
    return tuple(email.strip().lower() for email in person.get("email").split(";"))


def _lower(emails: Collection[str]) -> set[str]:
    return {email.lower() for email in emails if email}
