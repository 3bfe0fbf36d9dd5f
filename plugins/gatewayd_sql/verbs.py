"""The store's verbs over one opened database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewayd_sql.accounts import Accounts
from gatewayd_sql.asked import RequestTables
from gatewayd_sql.auditing import Auditor
from gatewayd_sql.daemons import Daemons
from gatewayd_sql.database import Database
from gatewayd_sql.desk import DeskTables
from gatewayd_sql.directories import DirectoryTables
from gatewayd_sql.filing import Filer
from gatewayd_sql.fingerprints import Fingerprints
from gatewayd_sql.inherited import Inheritance
from gatewayd_sql.leases import Leases
from gatewayd_sql.ledger import Ledger
from gatewayd_sql.origins import Origins
from gatewayd_sql.outbox import OutboxTables
from gatewayd_sql.owing import Owing
from gatewayd_sql.proving import Proving
from gatewayd_sql.provisional import Provisionals
from gatewayd_sql.refused import Refusals
from gatewayd_sql.refused_filings import RefusedFilings
from gatewayd_sql.sending import Sending

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Verbs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verbs:
    """All verbs, by the table that they turn about."""

    db: Database
    leases: Leases
    accounts: Accounts
    ledger: Ledger
    proving: Proving
    owing: Owing
    filer: Filer
    auditor: Auditor
    desk: DeskTables
    daemons: Daemons
    asked: RequestTables
    fingerprints: Fingerprints
    inheritance: Inheritance
    origins: Origins
    outbox: OutboxTables
    sending: Sending
    refusals: Refusals
    refused_filings: RefusedFilings
    provisionals: Provisionals
    directories: DirectoryTables

    @classmethod
    def open(cls, url: str) -> Self:
        """Connect, and bring the tables to this version."""
        db = Database(url)
        try:
            db.upgrade()
        except BaseException:
            db.close()
            raise
        return cls(
            db=db,
            leases=Leases(db),
            accounts=Accounts(db),
            ledger=Ledger(db),
            proving=Proving(db),
            owing=Owing(db),
            filer=Filer(db),
            auditor=Auditor(db),
            desk=DeskTables(db),
            daemons=Daemons(db),
            asked=RequestTables(db),
            fingerprints=Fingerprints(db),
            inheritance=Inheritance(db),
            origins=Origins(db),
            outbox=OutboxTables(db),
            sending=Sending(db),
            refusals=Refusals(db),
            refused_filings=RefusedFilings(db),
            provisionals=Provisionals(db),
            directories=DirectoryTables(db),
        )

    def close(self) -> None:
        """Close all connections."""
        self.db.close()
