"""Test class for stores: derive from it. It is made of the other contracts for stores in this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.contracts.accounts import AccountContract
from gatewayd.testing.contracts.admission import AdmissionContract
from gatewayd.testing.contracts.bounces import BounceContract
from gatewayd.testing.contracts.copies import CopiesContract
from gatewayd.testing.contracts.custodian import Custodian
from gatewayd.testing.contracts.daemons import DaemonContract, RequestContract
from gatewayd.testing.contracts.desk import DeskContract
from gatewayd.testing.contracts.filing import FilingContract
from gatewayd.testing.contracts.forgetting import ForgettingContract
from gatewayd.testing.contracts.leases import LeaseBatchContract, LeaseContract
from gatewayd.testing.contracts.ledger import LedgerContract
from gatewayd.testing.contracts.offers import OfferContract
from gatewayd.testing.contracts.outbox import OutboxContract
from gatewayd.testing.contracts.posting import PostingContract
from gatewayd.testing.contracts.proofs import ProofContract
from gatewayd.testing.contracts.refused import RefusedFilingContract
from gatewayd.testing.contracts.renames import RenameContract
from gatewayd.testing.contracts.rereads import RereadContract
from gatewayd.testing.contracts.sealed_secrets import SecretContract
from gatewayd.testing.contracts.search import SearchContract
from gatewayd.testing.contracts.sending import SendingContract
from gatewayd.testing.contracts.spanning import SpanningContract
from gatewayd.testing.contracts.subscriptions import SubscriptionContract
from gatewayd.testing.contracts.user_accounts import UserAccountContract
from gatewayd.testing.contracts.user_secrets import UserSecretContract
from gatewayd.testing.contracts.users import UserContract
from gatewayd.testing.contracts.web_sessions import ActivityContract, WebSessionContract

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewayd import Store

__all__ = ["StoreContract"]


class StoreContract(
    LeaseContract,
    LeaseBatchContract,
    AccountContract,
    RenameContract,
    ForgettingContract,
    LedgerContract,
    SpanningContract,
    CopiesContract,
    ProofContract,
    RereadContract,
    OfferContract,
    FilingContract,
    DeskContract,
    DaemonContract,
    RequestContract,
    OutboxContract,
    SendingContract,
    PostingContract,
    BounceContract,
    AdmissionContract,
    RefusedFilingContract,
    SecretContract,
    UserContract,
    UserAccountContract,
    SearchContract,
    SubscriptionContract,
    UserSecretContract,
    WebSessionContract,
    ActivityContract,
):
    """Derive a test class from it, give it three fixtures, and let pytest run it.

        class TestSql(StoreContract):
            @pytest.fixture
            def open_store(self, tmp_path): ...

            @pytest.fixture
            def expire(self, tmp_path): ...

            @pytest.fixture
            def later(self, tmp_path): ...

    ``open_store()`` returns a store, newly opened on one database, which is empty before the first call; ``expire(account)``
    makes the time of the account's lease pass; ``later(seconds)`` makes beats of daemons, answers and deliveries older by as much.
    """

    @pytest.fixture
    def store(self, open_store: Callable[[], Store]) -> Store:
        """Return a store over an empty database."""
        return open_store()

    @pytest.fixture
    def shared(self, store: Store) -> Custodian:
        """Return the holder of the lease of the account ``shared``."""
        return Custodian.of(store)

    @pytest.fixture
    def other(self, store: Store) -> Custodian:
        """Return the holder of the lease of another account, ``other``."""
        return Custodian.of(store, "other")
