"""Recognise messages by their keys alone, in whichever folder they lie, where a transport's keys span folders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.api.evidence import difference

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatewayd.api.ledger import Known
    from gatewayd.api.store import Store
    from gatewayd.api.values import Listed

__all__ = ["FETCHED", "by_key", "elsewhere"]

#: States of messages that were fetched.
FETCHED = frozenset({"filed", "duplicate", "not admitted"})


def elsewhere(
    store: Store, account: str, folder: str, *, listed: Sequence[Listed], known: Mapping[str, Known]
) -> Mapping[str, Known]:
    """Return what the ledger has in other folders under keys that this folder lacked until now; ``known``: what it has here."""
    lacked = [one.key for one in listed if (was := known.get(one.key)) is None or was.gone or was.state == "vanished"]
    return store.elsewhere(account, folder, lacked) if lacked else {}


def by_key(one: Listed, was: Known | None, there: Known | None) -> Known | None:
    """Return what is known of a listed message that came from another folder, or was gone; None if neither is so.

    ``was`` is what this folder has under the key, ``there`` what ``elsewhere`` has. Messages with other arrivals are others.
    """
    if was is not None and difference(was.listed, one):
        return None
    if there is not None and not difference(there.listed, one) and (was is None or there.state != "vanished"):
        return there
    return was if was is not None and was.gone and was.state in FETCHED else None
