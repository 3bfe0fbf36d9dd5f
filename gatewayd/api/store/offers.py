"""The store's verbs for offers: mail on servers that people choose from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from gatewayd.api.ledger import Lease
    from gatewayd.api.offers import Chosen, Decision, Offer, OfferQuery, OfferView, Seen
    from gatewayd.api.queries import Viewer

__all__ = ["OfferVerbs"]


class OfferVerbs(ABC):
    """Keep what is offered, and what each operator decided about it (promise P6).

    The key's state follows from the decisions: it waits while an operator has chosen it and has no filing of it, is ``dismissed``
    when all operators that it is offered to dismissed it, and else ``offered``, until its bytes are here. What is owed for it is
    not in ``owed`` as long as an operator that it is offered to has not decided.
    """

    @abstractmethod
    def undescribed(
        self, account: str, folder: str, *, after: int = 0, limit: int, at_once: bool = False
    ) -> Sequence[tuple[int, str]]:
        """Return entry id and key of what is offered, stands, and has no summary yet, ids above ``after``, by id.

        ``at_once``: also those whose headers could not be had within the last hour.
        """

    @abstractmethod
    def describe(self, lease: Lease, offers: Sequence[Offer], *, without: Collection[int] = ()) -> None:
        """Commit what the headers say, and to which operators it is offered. What has a summary stays as it is.

        ``without``: the entries whose headers could not be had, which are to be asked for again in an hour.
        """

    @abstractmethod
    def offers(self, viewer: Viewer, query: OfferQuery) -> Sequence[OfferView]:
        """Return what is or was offered to the viewer, newest entry first.

        What is gone from the server is left out unless the viewer's operator has filed it, or ``query`` names its id or key.
        """

    @abstractmethod
    def choose(self, viewer: Viewer, account: str, entry_ids: Collection[int], *, who: str) -> int:
        """Commit that the viewer's operator has these filed; return how many it had not chosen before.

        What is on the server only waits from now on, as new mail or as backlog as it was offered. The viewer's seen-mark comes to
        the newest entry that was shown or chosen.
        """

    @abstractmethod
    def dismiss(self, viewer: Viewer, account: str, entry_ids: Collection[int], *, who: str, undo: bool = False) -> int:
        """Commit that the viewer's operator does not want these, or with ``undo`` may want them again; return how many changed."""

    @abstractmethod
    def chosen(self, account: str, folder: str) -> Mapping[int, Sequence[str]]:
        """Return the waiting entries that were chosen, with the operators that did."""

    @abstractmethod
    def chosen_mails(self, account: str, operator: str, *, limit: int) -> Sequence[Chosen]:
        """Return what the operator chose and has not filed, although the bytes are here, by id."""

    @abstractmethod
    def end_choice(self, lease: Lease, operator: str, entry_ids: Collection[int], *, otherwise: str) -> None:
        """Commit that the operator's choice of these is done: filed, or refused where it has no filing; ``otherwise`` says why."""

    @abstractmethod
    def with_offers(self, accounts: Collection[str]) -> frozenset[str]:
        """Return the accounts of which anything is or was offered to an operator, or refused by its admission."""

    @abstractmethod
    def senders_of_offers(
        self,
        account: str,
        operator: str,
        *,
        user: str | None,
        decision: Literal["offered", "refused", "undecided"],
        after: int,
        limit: int,
    ) -> Sequence[tuple[int, Sequence[str]]]:
        """Return entry id and From addresses of what the operator's admission said that of, ids above ``after``, by id.

        ``user``: whose account it is now; what came to the account of another user is left out.
        """

    @abstractmethod
    def not_offered(
        self, account: str, operator: str, *, user: str | None, after: int, limit: int
    ) -> Sequence[tuple[int, Sequence[str]]]:
        """Return entry id and From addresses of what is offered to others and was never judged for the operator, by id.

        Only what stands and is not here yet, and of a user's account only what came to that user; see ``senders_of_offers``.
        """

    @abstractmethod
    def judge_offers(self, lease: Lease, operator: str, decisions: Mapping[int, Decision]) -> None:
        """Commit what the operator's admission says now of what it judged before; what people decided stays."""

    @abstractmethod
    def offer_also(self, lease: Lease, operator: str, decisions: Mapping[int, Decision], *, user: str | None) -> None:
        """Commit what the operator's admission says of what was never judged for it; see ``Offer`` for ``user``."""

    @abstractmethod
    def withdraw_offers(self, lease: Lease, served: Collection[str], *, user: str | None) -> None:
        """Commit that the account offers nothing any more to other operators than these: their decisions are not waited for.

        ``user``: whose account it is now. What came to the account of another user is offered to nobody any more, and not filed.
        """

    @abstractmethod
    def seen(self, viewer: Viewer, account: str) -> Seen:
        """Return how much the viewer has seen: one user, or the operator where no user or several are named."""

    @abstractmethod
    def show(self, viewer: Viewer, account: str, entry_id: int) -> None:
        """Commit that the viewer was shown the account's list up to that entry. The mark stays as it is."""
