"""Explain a mail: what every matcher and every forward rule of an operator says of it, and why. Keeps nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewayd.importing.outcomes import filings
from gatewayd.matching import MatchRequest, RawMail

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from gatewayd.matching import Matching, OperatorResult, OperatorSpec
    from gatewayd.message.mail import Mail
    from gatewayd.message.values import Source
    from gatewayd.outgoing.routing import Router, RuleVerdict

__all__ = ["NO_ACCOUNT", "Explained", "explained"]

#: Stands for the account of a mail that came by none; no account is called so.
NO_ACCOUNT = "no account"
#: A mail that is explained needs no id of its own.
_ID = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """What is said of a mail, and why."""

    mail: Mail
    findings: OperatorResult
    #: Message-IDs that it answers and that are proven to be ours.
    ours: Collection[str]
    #: What each of the operator's forward rules says, as if the mail were new.
    rulings: Sequence[RuleVerdict]


def explained(
    matching: Matching, spec: OperatorSpec, source: Source, *, router: Router | None, account: str, queue: str
) -> Explained:
    """Explain a mail that came by ``account``, whose error queue is ``queue``. Raises what ``MatchRun.result`` raises."""
    matching.refresh(spec)
    request = MatchRequest(raw_mails=(RawMail(_ID, source),), specs=(spec,), explain=True)
    matched = matching.begin(request).result(lambda: None)
    (mail,), (found,) = matched.mails, matched.results
    (filing,) = filings([mail], [found], user=None, queue=queue)[mail.id]
    ids = {one.message_id for _, one in filing.follows}
    return Explained(
        mail=mail,
        findings=found,
        ours={one for one in ids if router and router.wrote(one)},
        rulings=router.explain(spec.operator.name, account, mail, filing) if router else (),
    )
