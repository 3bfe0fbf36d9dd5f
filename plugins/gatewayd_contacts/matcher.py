"""Link mail to the persons who wrote it and to their customers and suppliers, as in the operators' manual.

For customers, and independently for suppliers:

1. Look up the non-temporary persons with a From address, and link all of them.
2. Link the customers whose main contact is one of these persons.
3. If there is no such customer, link the customers that have a From address as a contact of type EMAIL.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatewayd import Link, Matcher, Miss
from gatewayd_contacts.options import ContactsOptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from gatewayd import Contact, Directory, Finding, Kind, Mail, Record

__all__ = ["Contacts"]


@dataclass(slots=True)
class _Known:
    """The records of the directory for a whole batch."""

    #: Persons by address.
    persons: Mapping[str, Sequence[Record]]
    #: For each kind, the records by the id of their main contact.
    led: dict[Kind, Mapping[str, Sequence[Record]]]
    #: EMAIL contacts by address; only those of addresses for which step 3 is necessary.
    contacts: Mapping[str, Sequence[Contact]] = field(default_factory=dict)


class Contacts(Matcher):
    """Links mail to the persons who sent it, and to their customers and suppliers."""

    kind = "contacts"
    Options = ContactsOptions
    options: ContactsOptions

    def match(self, mails: Sequence[Mail], directory: Directory) -> Iterator[Finding]:
        """See ``Matcher``. Makes at most four queries for a batch."""
        senders = {mail.id: tuple(dict.fromkeys(one.key for one in mail.from_ if one.email)) for mail in mails}
        asked = set().union(*senders.values())
        if asked:
            persons = directory.persons(asked)
            ids = {person.id for found in persons.values() for person in found}
            known = _Known(persons, {kind: directory.find(kind, "main_contact", ids) if ids else {} for kind in self.options.kinds})
            open_ = {email for emails in senders.values() if self._incomplete(emails, known) for email in emails}
            known.contacts = directory.contacts(open_) if open_ else {}
        for mail_id, emails in senders.items():
            if emails:
                yield from self._findings(mail_id, emails, known)
            else:
                yield Miss(mail_id, "it has no From address")

    def _incomplete(self, emails: Sequence[str], known: _Known) -> bool:
        """Whether contacts have to be looked up: for some kind, no person is a main contact."""
        ids = {person.id for email in emails for person in known.persons.get(email, ())}
        return any(ids.isdisjoint(led) for led in known.led.values())

    def _findings(self, mail_id: int, emails: Sequence[str], known: _Known) -> Iterator[Finding]:
        persons = {person.id: (person, email) for email in emails for person in known.persons.get(email, ())}
        for person, email in persons.values():
            yield Link(mail_id, person, f"the sender's address {email} is this person's")
        if not persons:
            yield Miss(mail_id, f"no person has the sender's address {_or(emails)}")
        for kind in self.options.kinds:
            owners = _by_person(persons.values(), known.led[kind]) or _by_contact(emails, kind, known.contacts)
            for owner, because in owners.values():
                yield Link(mail_id, owner, because)
            if not owners:
                yield Miss(mail_id, f"no {kind} has the sender as its main contact, or {_or(emails)} as an EMAIL contact")


def _by_person(persons: Iterable[tuple[Record, str]], led: Mapping[str, Sequence[Record]]) -> dict[str, tuple[Record, str]]:
    owners: dict[str, tuple[Record, str]] = {}
    for person, email in persons:
        for owner in led.get(person.id, ()):
            owners.setdefault(owner.id, (owner, f"the sender {person.label} ({email}) is its main contact"))
    return owners


def _by_contact(emails: Sequence[str], kind: Kind, contacts: Mapping[str, Sequence[Contact]]) -> dict[str, tuple[Record, str]]:
    owners: dict[str, tuple[Record, str]] = {}
    for email in emails:
        for contact in contacts.get(email, ()):
            if contact.record.kind == kind:
                owners.setdefault(contact.record.id, (contact.record, f"the sender's address {email} is an EMAIL contact of it"))
    return owners


def _or(emails: Sequence[str]) -> str:
    shown = " or ".join(emails[:3])
    return f"{shown} or {len(emails) - 3} others" if len(emails) > 3 else shown  # noqa: PLR2004  the same 3 as above
