"""What is known of servers that can't be sound in everything: what gatewayd must say then, and why."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["EXPECTED", "MISSING", "Told"]


class Told(NamedTuple):
    """What is said in place of ``Custody is proven.``"""

    #: A pattern for what import and audit say.
    says: str
    because: str


#: By row and column of the table.
EXPECTED: dict[tuple[str, str], Told] = {}

#: Servers that Debian 12 and 13 do not have.
MISSING: dict[str, str] = {
    "Citadel": "neither Debian 12 nor Debian 13 has it",
    "UW IMAP": "neither Debian 12 nor Debian 13 has uw-imapd",
}
