"""For whom mail is filed that comes by a mailbox that several people read, and who refuses it (promise P6).

A delivery belongs to one operator, and one of personal mail to one user. Answers to it, reports on it and whatever else brings it
back quote it, so they are filed for them alone, whoever else the mailbox serves.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gatewayd.api.ledger import Filing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gatewayd.api.delivery import Origin
    from gatewayd.config import AccountConfig
    from gatewayd.matching import OperatorResult

__all__ = ["chosen_only", "owned", "refused_by"]


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
    personal = next((one for one in origins if one.user is not None), None)
    if personal is not None:
        return [replace(_of(personal.operator, account, filings), user=personal.user)]
    concerned = dict.fromkeys(one.operator for one in origins if one.operator in account.operators)
    return [_of(operator, account, filings) for operator in concerned] or filings


def chosen_only(filed: Mapping[int, list[Filing]], chosen: Mapping[int, Sequence[str]]) -> dict[int, list[Filing]]:
    """Return filings by mail id: of mail that people chose, only those for the operators of whoever chose it."""
    return {
        mail_id: [one for one in each if one.operator in chosen[mail_id]] if mail_id in chosen else each
        for mail_id, each in filed.items()
    }


def refused_by(
    found: Sequence[OperatorResult],
    filed: Mapping[int, list[Filing]],
    own: Callable[[Mapping[int, list[Filing]]], Mapping[int, list[Filing]]],
) -> dict[int, tuple[str, ...]]:
    """Return the operators that get no filing since they don't admit a mail or can't decide yet, by mail that others get.

    ``own`` leaves of filings those that ``owned`` leaves. What comes back from another operator's delivery, or a user's, is none
    that they could ever get.
    """
    without: dict[int, list[Filing]] = {}
    for each in found:
        for mail_id in each.refused | each.pending:
            if filed[mail_id]:
                without.setdefault(mail_id, []).append(Filing(operator=each.operator, user=None))
    would = own({mail_id: [*filed[mail_id], *others] for mail_id, others in without.items()})
    left = {mail_id: {one.operator for one in each} - {one.operator for one in filed[mail_id]} for mail_id, each in would.items()}
    return {mail_id: tuple(sorted(names)) for mail_id, names in left.items() if names}


def _of(operator: str, account: AccountConfig, filings: Sequence[Filing]) -> Filing:
    queue = account.imports.error_queue if account.imports else ""
    return next((one for one in filings if one.operator == operator), Filing(operator=operator, user=None, queue=queue))
