"""Link mail to reservations by the numbers in its subject, as in the operators' manual.

For each group of digits n, look up the reservations with the booking code ``B-n``, ``O-n``, ``L-n`` or, for each brand,
``B-<brand>-n``, ``O-<brand>-n``, ``L-<brand>-n``. If there is exactly one, it is linked; if there are several, a person chooses.
"""

from __future__ import annotations

import re
from dataclasses import replace
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

#: How many numbers of one mail are looked up, and the most digits of a number.
_MAX_NUMBERS = 50
_MAX_LENGTH = 20
#: How many booking codes are named that no reservation has.
_SHOWN = 12
#: How many characters of each place are read: the time that a slow pattern takes is bounded.
_BOUNDS: Mapping[PlaceToLook, int] = {"subject": 4 << 10, "text": 64 << 10, "attachments": 4 << 10}
_PLACES: Mapping[PlaceToLook, str] = {"subject": "subject", "text": "text", "attachments": "name of an attachment"}


class Reservations(Matcher):
    """Links mail to the reservations whose numbers it contains."""

    kind = "reservations"
    Options = ReservationsOptions
    options: ReservationsOptions

    def __init__(self, options: ReservationsOptions, *, operator: Operator) -> None:
        super().__init__(options, operator=operator)
        self._pattern = re.compile(options.pattern)
        brands = operator.brands if options.brands is None else options.brands
        #: The parts of booking codes before the number, each once, in the manual's order.
        self._heads = tuple(
            dict.fromkeys(f"{prefix}-{brand}" for brand in ("", *(f"{b}-" for b in brands)) for prefix in options.prefixes)
        )

    def match(self, mails: Sequence[Mail], directory: Directory) -> Iterator[Finding]:
        """See ``Matcher``. Makes one query for a batch; none if there is no number."""
        numbers = {mail.id: self._numbers(mail) for mail in mails}
        codes = {number: [head + number for head in self._heads] for number in set().union(*numbers.values())}
        asked = {code for several in codes.values() for code in several}
        records = directory.reservations(asked) if asked else {}
        # The existing codes of each number: mostly one or none of many.
        hits = {number: [code for code in several if code in records] for number, several in codes.items()}
        for mail_id, found in numbers.items():
            # Each number has a finding, whatever the findings of the other numbers.
            each = ((number, f"{number} in the {_PLACES[place]}") for number, place in found.items())
            yield from _merged([self._decided(mail_id, number, where, hits[number], records) for number, where in each])
            if not found:
                yield Miss(mail_id, f"no number in the {' or the '.join(_PLACES[place] for place in self.options.places)}")

    def _decided(
        self, mail_id: int, number: str, where: str, hits: Sequence[str], records: Mapping[str, Sequence[Record]]
    ) -> Finding:
        """Return the finding for a number whose booking codes ``hits`` exist; ``where`` says it and where it stands."""
        if hits:
            because = f"booking code {', '.join(hits)} by {where}"
        else:
            # Who set up other prefixes or brands sees by that what was looked up.
            more = ", ..." if len(self._heads) > _SHOWN else ""
            codes = ", ".join(head + number for head in self._heads[:_SHOWN])
            because = f"no reservation has a booking code for {where}: looked for {codes}{more}"
        return decide(mail_id, [record for code in hits for record in records[code]], because=because)

    def _numbers(self, mail: Mail) -> dict[str, PlaceToLook]:
        """Return the mail's numbers, each once, with the place of its first occurrence."""
        numbers: dict[str, PlaceToLook] = {}
        for place in self.options.places:
            for found in self._pattern.finditer(_text(mail, place)):
                # A group that did not take part in the match is None.
                number = found[self._pattern.groups] or ""
                if 0 < len(number) <= _MAX_LENGTH:
                    numbers.setdefault(number, place)
                if len(numbers) == _MAX_NUMBERS:
                    return numbers
        return numbers


def _text(mail: Mail, place: PlaceToLook) -> str:
    if place == "attachments":
        text = "\n".join(attachment.name for attachment in islice(mail.attachments, _BOUNDS[place]))
    else:
        text = mail.subject if place == "subject" else mail.text
    # A number that is cut at the bound would be another number.
    return text if len(text) <= _BOUNDS[place] else text[: _BOUNDS[place]].rstrip(digits)


def _merged(findings: Sequence[Finding]) -> Sequence[Finding]:
    """Merge findings of several numbers about the same records into one finding with all reasons."""
    if len(findings) < 2:  # noqa: PLR2004  nothing to merge
        return findings
    said: dict[tuple[str, ...], list[Finding]] = {}
    for finding in findings:
        said.setdefault(_ids(finding), []).append(finding)
    return [replace(same[0], because="; ".join([finding.because for finding in same])) for same in said.values()]


def _ids(finding: Finding) -> tuple[str, ...]:
    if isinstance(finding, Link):
        return (finding.record.id,)
    return tuple(sorted(record.id for record in finding.records)) if isinstance(finding, Rivals) else ()
