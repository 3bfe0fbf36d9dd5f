"""The role `Store`: the methods of a plugin that keeps everything, which are called verbs and sorted into groups.

Each group is an abstract class of its own.

Every verb is one short transaction; no row, session or engine leaves the store. A store has a class for each group, and the
plugin's class inherits them all.

What a visit writes is fenced: each of its verbs takes the lease, proves in the same transaction that it is still held, and renews
it. If it is not, the verb raises ``LeaseLost``, and nothing is written. When a verb has returned, its data is on the disk (promise
P2). Every verb may be called from any thread.

Raising: TransientError (busy, full disk, server away), ConfigError (a database that can't be used: read-only, of a newer
version, no database), LeaseLost.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from gatewayd.api.roles import Plugin
from gatewayd.api.store.accounts import AccountVerbs
from gatewayd.api.store.admission import AdmissionVerbs, ProvisionalVerbs
from gatewayd.api.store.desk import DeskVerbs
from gatewayd.api.store.filing import FilingVerbs
from gatewayd.api.store.health import HealthVerbs, RequestVerbs
from gatewayd.api.store.leases import LEASE_SECONDS, LeaseVerbs
from gatewayd.api.store.ledger import LedgerVerbs, OwedVerbs
from gatewayd.api.store.offers import OfferVerbs
from gatewayd.api.store.outbox import DELIVERY_SECONDS, DeliveryVerbs, OutboxVerbs
from gatewayd.api.store.proofs import ProofVerbs
from gatewayd.api.store.renames import RenameVerbs
from gatewayd.api.store.sealed_secrets import SecretVerbs
from gatewayd.api.store.search import SearchVerbs
from gatewayd.api.store.subscriptions import SubscriptionVerbs
from gatewayd.api.store.user_accounts import UserAccountVerbs
from gatewayd.api.store.user_secrets import UserSecretVerbs
from gatewayd.api.store.users import UserVerbs
from gatewayd.api.store.web_sessions import ActivityVerbs, WebSessionVerbs
from gatewayd.errors import ConfigError

if TYPE_CHECKING:
    from gatewayd.api.roles import Folders

__all__ = [
    "DELIVERY_SECONDS",
    "LEASE_SECONDS",
    "AccountVerbs",
    "ActivityVerbs",
    "AdmissionVerbs",
    "DeliveryVerbs",
    "DeskVerbs",
    "FilingVerbs",
    "HealthVerbs",
    "LeaseVerbs",
    "LedgerVerbs",
    "OfferVerbs",
    "OutboxVerbs",
    "OwedVerbs",
    "ProofVerbs",
    "ProvisionalVerbs",
    "RenameVerbs",
    "RequestVerbs",
    "SearchVerbs",
    "SecretVerbs",
    "Store",
    "SubscriptionVerbs",
    "UserAccountVerbs",
    "UserSecretVerbs",
    "UserVerbs",
    "WebSessionVerbs",
]


class Store(
    Plugin,
    LeaseVerbs,
    HealthVerbs,
    RequestVerbs,
    LedgerVerbs,
    OwedVerbs,
    OfferVerbs,
    FilingVerbs,
    DeskVerbs,
    SearchVerbs,
    OutboxVerbs,
    DeliveryVerbs,
    AdmissionVerbs,
    ProvisionalVerbs,
    ProofVerbs,
    AccountVerbs,
    RenameVerbs,
    SecretVerbs,
    UserVerbs,
    UserAccountVerbs,
    SubscriptionVerbs,
    UserSecretVerbs,
    WebSessionVerbs,
    ActivityVerbs,
):
    """Keeps ledger, raw mail, filings, links, deliveries, leases and sealed secrets.

    Every verb may raise TransientError while the database can't be reached. It raises StoreReplaced once others find another
    database by this one's name, such as a backup: what was written is seen by nobody, so nothing may be done on a mail server.
    """

    def __init__(self, options: Store.Options, *, place: Folders) -> None:
        """Keep what is given. Does no I/O and can't fail."""
        self.options = options
        self.place = place

    @abstractmethod
    def is_current(self) -> bool:
        """Whether the store is there and of this version, so that to open it changes nothing.

        Called before ``open``; never raises.
        """

    def is_new(self) -> bool:
        """Whether there is no database yet, or an empty one, so that ``open`` makes all of it.

        Needs no ``open``, and makes nothing. By default it is not told: False.
        """
        return False

    def may_be_shared(self) -> bool:
        """Whether daemons with other state folders can use it, too, so that keys have to be the same for all of them.

        Does no I/O; never raises. By default False.
        """
        return False

    @abstractmethod
    def open(self) -> None:
        """Connect and bring the tables to this version. Called once, before anything else.

        Raises ConfigError for a database of a newer version, a read-only one, or none at all.
        """

    def open_reading(self) -> None:
        """Make ready for reading alone, in place of ``open``: nothing is made, changed or migrated, and no verb that writes works.

        Another Unix user, or a role of the database that may only SELECT, can do so while a daemon writes. It connects to nothing
        yet: each verb raises TransientError while there is no database of this version, and works once the daemon has made one.
        By default it raises ConfigError.
        """
        advice = "Configure a store for the web pages that can, such as `sql`."
        raise ConfigError(f"the store {self.kind} can't be opened for reading alone", advice=advice)

    @abstractmethod
    def close(self) -> None:
        """Let go of all connections. Called once; never raises."""

    @abstractmethod
    def prove_writable(self) -> None:
        """Write something small that changes nothing, and have it on the disk; raises what keeps the store from writing."""
