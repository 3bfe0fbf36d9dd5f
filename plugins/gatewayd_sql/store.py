"""The store ``sql``: all groups of verbs over one database. Importing this module imports SQLAlchemy."""

from __future__ import annotations

from gatewayd import Store
from gatewayd_sql.accounts import Accounts
from gatewayd_sql.activities import Activities
from gatewayd_sql.admission import Refusals
from gatewayd_sql.auditing import Auditor
from gatewayd_sql.database import Database, asked
from gatewayd_sql.desk import DeskTables
from gatewayd_sql.engines import is_there
from gatewayd_sql.filing import Filer
from gatewayd_sql.forgetting import Forgetting
from gatewayd_sql.health import Daemons
from gatewayd_sql.leases import Leases
from gatewayd_sql.ledger import Ledger
from gatewayd_sql.offer import SqlOffer
from gatewayd_sql.offering import Offers
from gatewayd_sql.outbox import OutboxTables
from gatewayd_sql.owing import Owing
from gatewayd_sql.placing import place_of, prepare
from gatewayd_sql.provisional import Provisionals
from gatewayd_sql.renaming import Renaming
from gatewayd_sql.requests import RequestTables
from gatewayd_sql.sealed_secrets import SecretTable
from gatewayd_sql.search import SearchTables
from gatewayd_sql.sending import Sending
from gatewayd_sql.subscriptions import Subscriptions
from gatewayd_sql.user_accounts import UserAccountTables
from gatewayd_sql.user_secrets import UserSecretTables
from gatewayd_sql.users import Users
from gatewayd_sql.web_sessions import WebSessions

__all__ = ["Sql"]


class Sql(
    Leases,
    Daemons,
    RequestTables,
    Ledger,
    Owing,
    Offers,
    Filer,
    DeskTables,
    SearchTables,
    OutboxTables,
    Sending,
    Refusals,
    Provisionals,
    Auditor,
    Accounts,
    Forgetting,
    Renaming,
    SecretTable,
    Users,
    UserAccountTables,
    Subscriptions,
    UserSecretTables,
    WebSessions,
    Activities,
    SqlOffer,
    # By the base alone Python would not notice that a verb is missing.
    Store,
):
    """Keeps everything in one SQLite file, or in PostgreSQL."""

    @property
    def url(self) -> str:
        """Where the database is."""
        return self.options.url or f"sqlite:///{place_of(self.place.state)}"

    def is_current(self) -> bool:
        """Whether the database is there and has this version's tables."""
        return is_there(self.url) and asked(self.url, Database.is_current)

    def is_new(self) -> bool:
        """Whether there is no database, or an empty one."""
        return not is_there(self.url) or asked(self.url, Database.is_new)

    def may_be_shared(self) -> bool:
        """Whether it is in PostgreSQL."""
        return not self.url.startswith("sqlite:")

    def open(self) -> None:
        """Connect and bring the tables to this version."""
        if self.options.url is None:
            prepare(self.place.state)
        db = Database(self.url)
        try:
            db.upgrade()
        except BaseException:
            db.close()
            raise
        self._db = db

    def open_reading(self) -> None:
        """Make ready for reading alone."""
        self._db = Database(self.url, reading=True)

    def close(self) -> None:
        """Let go of all connections."""
        self._db.close()

    def prove_writable(self) -> None:
        """Commit something small."""
        self._db.prove_writable()
