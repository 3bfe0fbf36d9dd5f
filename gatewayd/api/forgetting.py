"""What is counted before an account is forgotten."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Brought"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """What an account brought: all of it goes when the account is forgotten, but bytes that another account brought, too."""

    #: Keys in the ledger.
    entries: int = 0
    mails: int = 0
    #: Bytes of raw mail that go, as they are stored.
    size: int = 0
    #: Mails whose bytes stay, since another account has the same, or people sent them.
    shared: int = 0
    #: For whomever the mails are filed.
    filings: int = 0
    #: Links that people made.
    links: int = 0
    #: Deliveries of these mails that were not made yet: they will not be.
    undelivered: int = 0
    #: Mails that people sent through the account: these stay, with what they are linked to.
    sent: int = 0
