"""A matcher for gatewayd: links mail to reservations by the voucher numbers in its subject."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pydantic import Field

from gatewayd import Matcher, decide, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd import Directory, Finding, Mail


class Vouchers(Matcher):
    """Links mail to reservations by the voucher numbers in its subject."""

    kind = "vouchers"

    class Options(Matcher.Options):
        """What a voucher number looks like."""

        digits: int = Field(default=8, description="How many digits a voucher number has.", ge=1, le=20)

    options: Options

    def match(self, mails: Sequence[Mail], directory: Directory) -> Iterator[Finding]:
        """Look up all voucher numbers of the batch at once."""
        pattern = rf"\bV([0-9]{{{self.options.digits}}})\b"
        found = {mail.id: set(re.findall(pattern, mail.subject)) for mail in mails}
        records = directory.reservations(set().union(*found.values()))
        for mail_id, vouchers in found.items():
            for voucher in sorted(vouchers & records.keys()):
                yield decide(mail_id, records[voucher], because=f"voucher {voucher} in the subject")


@hookimpl
def gatewayd_matchers() -> list[type[Matcher]]:
    """Offer the matcher."""
    return [Vouchers]
