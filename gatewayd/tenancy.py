"""For whom mail is filed that comes back from our own deliveries by a mailbox that several people read (promise P6).

A delivery belongs to one operator, and one of personal mail to one user. Answers to it, reports on it and whatever else brings it
back quote it, so they are filed for them alone, whoever else the mailbox serves.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gatewayd.custody import Filing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd.config import AccountConfig
    from gatewayd.delivery import Origin

__all__ = ["owned"]


def owned(account: AccountConfig, filings: Sequence[Filing], origins: Sequence[Origin]) -> Sequence[Filing]:
    """Return the filings of a mail that came by ``account``, given those of all operators that admit it.

    ``origins`` are those of the deliveries that it comes back from, the nearest first. Where one of them is personal, the mail is
    filed for that operator and user alone, whether the account serves them or not: personal mail never becomes general. Else it
    is filed for those of the account's operators whose deliveries they are. These asked for it, so it needs no admission. What
    comes to a user's own mailbox is that user's, and what comes back from an operator that the account no longer serves is mail
    like any other.
    """
    if account.user is not None or not origins:
        return filings
    personal = next((one for one in origins if one.owner is not None), None)
    if personal is not None:
        return [replace(_of(personal.operator, account, filings), owner=personal.owner)]
    concerned = dict.fromkeys(one.operator for one in origins if one.operator in account.operators)
    return [_of(operator, account, filings) for operator in concerned] or filings


def _of(operator: str, account: AccountConfig, filings: Sequence[Filing]) -> Filing:
    queue = account.imports.error_queue if account.imports else ""
    return next((one for one in filings if one.operator == operator), Filing(operator=operator, owner=None, queue=queue))
