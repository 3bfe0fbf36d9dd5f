"""Link mail to reservations by the numbers in its subject, as the operators' manual has it.

For each group of digits n: the reservations with the booking code ``B-n``, ``O-n``, ``L-n`` or, for each brand,
``B-<brand>-n``, ``O-<brand>-n``, ``L-<brand>-n``. Exactly one record: link it. Several: no link, a person chooses.
"""

from __future__ import annotations

import re
from itertools import islice
from string import digits
from typing import TYPE_CHECKING

from gatewayd import Link, Matcher, Miss, Rivals, decide
from gatewayd_reservations.options import ReservationsOptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gatewayd import Directory, Finding, Mail, Operator, Record
    from gatewayd_reservations.options import PlaceToLook

__all__ = ["Reservations"]

#: How many numbers of one mail are looked up, and how long one may be.
_MAX_NUMBERS = 50
_MAX_LENGTH = 20
#: How many characters of each place are read, so that a slow pattern meets a bounded text.
_BOUNDS: Mapping[PlaceToLook, int] = {"subject": 4 << 10, "text": 64 << 10, "attachments": 4 << 10}
_PLACES: Mapping[PlaceToLook, str] = {"subject": "subject", "text": "text", "attachments": "name of an attachment"}


class Reservations(Matcher):
    """Links mail to the reservations whose numbers stand in it."""

    kind = "reservations"
    Options = ReservationsOptions
    options: ReservationsOptions

    def __init__(self, options: ReservationsOptions, *, operator: Operator) -> None:
        super().__init__(options, operator=operator)
        self._pattern = re.compile(options.pattern)
        brands = operator.brands if options.brands is None else options.brands
        #: What stands before the number in a booking code, each once, in the manual's order.
        self._heads = tuple(
            dict.fromkeys(f"{prefix}-{brand}" for brand in ("", *(f"{b}-" for b in brands)) for prefix in options.prefixes)
        )

    def match(self, mails: Sequence[Mail], directory: Directory) -> Iterator[Finding]:
        """See ``Matcher``. Asks one question a batch, none where there is no number."""
        numbers = {mail.id: self._numbers(mail) for mail in mails}
        codes = {head + number for found in numbers.values() for number in found for head in self._heads}
        records = directory.reservations(codes) if codes else {}
        for mail_id, found in numbers.items():
            yield from _merged(self._decided(mail_id, found, records))
            if not found:
                yield Miss(mail_id, f"no number in the {' or the '.join(_PLACES[place] for place in self.options.places)}")

    def _decided(
        self, mail_id: int, numbers: Mapping[str, PlaceToLook], records: Mapping[str, Sequence[Record]]
    ) -> Iterator[Finding]:
        """Yield a finding for each number, whatever the other numbers gave."""
        for number, place in numbers.items():
            hits = [head + number for head in self._heads if head + number in records]
            where = f"{number} in the {_PLACES[place]}"
            because = f"booking code {', '.join(hits)} by {where}" if hits else f"no reservation has a booking code for {where}"
            yield decide(mail_id, [record for code in hits for record in records[code]], because=because)

    def _numbers(self, mail: Mail) -> dict[str, PlaceToLook]:
        """The mail's numbers, each once, with the place where it stood first."""
        found = ((number, place) for place in self.options.places for number in self._read(mail, place))
        numbers: dict[str, PlaceToLook] = {}
        for number, place in found:
            numbers.setdefault(number, place)
            if len(numbers) == _MAX_NUMBERS:
                break
        return numbers

    def _read(self, mail: Mail, place: PlaceToLook) -> Iterator[str]:
        for found in self._pattern.finditer(_text(mail, place)):
            # A group that took no part in the match is None.
            number = found[self._pattern.groups] or ""
            if 0 < len(number) <= _MAX_LENGTH:
                yield number


def _text(mail: Mail, place: PlaceToLook) -> str:
    if place == "attachments":
        text = "\n".join(attachment.name for attachment in islice(mail.attachments, _BOUNDS[place]))
    else:
        text = mail.subject if place == "subject" else mail.text
    # A number that the bound cuts in two would be another number.
    return text if len(text) <= _BOUNDS[place] else text[: _BOUNDS[place]].rstrip(digits)


def _merged(findings: Iterator[Finding]) -> Iterator[Finding]:
    """Say once what several numbers of one mail said of the same records, with all their reasons."""
    said: dict[tuple[str, ...], list[Finding]] = {}
    for finding in findings:
        said.setdefault(_ids(finding), []).append(finding)
    for same in said.values():
        first = same[0]
        because = "; ".join(finding.because for finding in same)
        if isinstance(first, Link):
            yield Link(first.mail_id, first.record, because)
        elif isinstance(first, Rivals):
            yield Rivals(first.mail_id, first.records, because)
        else:
            yield Miss(first.mail_id, because)


def _ids(finding: Finding) -> tuple[str, ...]:
    if isinstance(finding, Link):
        return (finding.record.id,)
    return tuple(sorted(record.id for record in finding.records)) if isinstance(finding, Rivals) else ()
