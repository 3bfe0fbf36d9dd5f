"""Forwarding by hand: to the addresses that a mail's account approves, and to the operator's own targets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gatewayd.api.delivery import Delivery, DeliveryQuery
from gatewayd.config import TargetConfig
from gatewayd.desk import sending_rules
from gatewayd.desk.composing import strict
from gatewayd.desk.values import PlannedDelivery, PreparedMail
from gatewayd.errors import PermanentError
from gatewayd.message.envelope import compared
from gatewayd.message.values import Address
from gatewayd.outgoing import loops

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gatewayd.api.delivery import DeliveryView, Mode
    from gatewayd.api.queries import FilingView, Viewer
    from gatewayd.config import AccountConfig, OperatorConfig, SendConfig
    from gatewayd.desk import Desk
    from gatewayd.desk.values import RuleCheck
    from gatewayd.message.message_ids import Signer

__all__ = ["Forwarding"]

_DELIVERIES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarding:
    """Prepares what people forward; ``Desk.send`` sends it.

    Nothing is withheld from them: they are told what a rule would have withheld it for.
    """

    desk: Desk
    signer: Signer
    operators: Mapping[str, OperatorConfig]
    accounts: Mapping[str, AccountConfig]

    def forward(
        self, viewer: Viewer, mail_id: int, to: Sequence[str], *, who: str, mode: Mode | None = None, again: bool = False
    ) -> PreparedMail:
        """Prepare a forward of a stored mail to ``to``: names of targets, and names or addresses that the account approves.

        Each gets a delivery of its own. ``mode`` None: ``attached``, and to a target as the target says. Raises PermanentError
        for what is not approved, and for what was forwarded there already unless it is to go ``again``.
        """
        filing = self.desk.get(viewer, mail_id)
        goals = self._goals(filing, to)
        before = self.desk.store.deliveries(viewer, DeliveryQuery(mail_id=mail_id, limit=_DELIVERIES))
        planned = tuple(self._planned(filing, goal, before, who=who, mode=mode, again=again) for goal in goals)
        return PreparedMail(
            viewer=viewer,
            mail_id=mail_id,
            planned=planned,
            size=filing.size,
            checks=tuple(self._checks(planned, filing)),
            notes=tuple(self._notes(viewer, filing, goals)),
        )

    # --- to whom ----------------------------------------------------------------------------------------------------

    def _goals(self, filing: FilingView, to: Sequence[str]) -> list[Address | TargetConfig]:
        """Return the goals of what a person typed, each once."""
        known = self.operators.get(filing.operator)
        targets = known.targets if known else {}
        approved = self._approved(filing)
        goals: list[Address | TargetConfig] = []
        for word in to:
            found = self._goal(word, approved, targets)
            if not found:
                raise PermanentError(f"{word!r} is not approved to forward this mail to", advice=_advice(filing, approved, targets))
            goals += [one for one in found if one not in goals]
        return goals

    def _approved(self, filing: FilingView) -> Sequence[Address]:
        """Return what the filing's account approves, as far as it serves this operator and owner today (promise P6)."""
        account = self.accounts.get(filing.account)
        if account is None or filing.operator not in account.operators or account.user not in {None, filing.owner}:
            return ()
        return account.approved

    def _goal(
        self, word: str, approved: Sequence[Address], targets: Mapping[str, TargetConfig]
    ) -> Sequence[Address | TargetConfig]:
        asked, email = word.strip().casefold(), compared(word.strip())
        # The names of targets are in lower case.
        if asked in targets:
            return [targets[asked]]
        # What shares a name gets it all.
        return [
            one
            for one in approved
            if asked and (asked in {one.name.casefold(), str(one).casefold()} or compared(one.email) == email)
        ]

    # --- what becomes of it -----------------------------------------------------------------------------------------

    def _planned(
        self,
        filing: FilingView,
        goal: Address | TargetConfig,
        before: Sequence[DeliveryView],
        *,
        who: str,
        mode: Mode | None,
        again: bool,
    ) -> PlannedDelivery:
        sends, delivery = self._addressed(filing.operator, goal, mode)
        same = [one for one in before if one.delivery.goal == delivery.goal]
        standing = [one for one in same if one.state != "cancelled"]
        if standing and not again:
            raise _twice(standing[0])
        # A cause of its own: the same filing, goal and cause never make two deliveries.
        cause = f"person:{who}" + (f" ({len(same) + 1})" if same else "")
        sender = sends.sender if sends else None
        return PlannedDelivery(
            delivery=replace(
                delivery,
                cause=cause,
                message_id=self.signer.message_id("forward", sender.email.rpartition("@")[2] if sender else ""),
            ),
            sender=str(sender) if sender and delivery.mode == "attached" else "",
            envelope=sender.email if sender else "",
        )

    def _addressed(self, operator: str, goal: Address | TargetConfig, mode: Mode | None) -> tuple[SendConfig | None, Delivery]:
        """Return what the account may send that a goal is reached by, and the delivery, still without cause and Message-ID."""
        if isinstance(goal, Address):
            account, sends = sending_rules.system_account(self.accounts, operator)
            delivery = Delivery(
                forwarder=account.kind,
                account=account.name,
                to=(strict(goal).email,),
                mode=mode or "attached",
                cause="",
                message_id="",
            )
            return sends, delivery
        sending = self.accounts.get(goal.account)
        delivery = Delivery(
            forwarder=goal.kind,
            account=goal.account,
            target=goal.name,
            to=goal.to or (goal.name,),
            mode=mode if mode and goal.account else goal.mode,
            cause="",
            message_id="",
        )
        return sending.sends if sending else None, delivery

    def _checks(self, planned: Sequence[PlannedDelivery], filing: FilingView) -> Iterator[RuleCheck]:
        for name in dict.fromkeys(one.delivery.account for one in planned):
            account = self.accounts.get(name)
            if account and account.sends:
                yield sending_rules.size_check(account, account.sends, filing.size)

    def _notes(self, viewer: Viewer, filing: FilingView, goals: Sequence[Address | TargetConfig]) -> Iterator[str]:
        """Yield what a person should know: what no rule would forward, and what will wait."""
        if why := loops.withheld(self.desk.mail(viewer, filing.id), self.signer):
            yield f"no rule would forward it: {why}"
        suspended = {(one.operator, one.target): one.cause for one in self.desk.store.suspensions()}
        for goal in goals:
            if isinstance(goal, TargetConfig) and (cause := suspended.get((filing.operator, goal.name))):
                resume = f"`gatewayd outbox resume {goal.name} --operator {filing.operator}`"
                yield f"target {goal.name} is suspended ({cause}): it waits until {resume}"


def _twice(before: DeliveryView) -> PermanentError:
    goal, cause = before.delivery.goal, before.delivery.cause
    message = f"mail {before.mail_id} goes to {goal} already: delivery {before.id}, by {cause}, is {before.state}"
    return PermanentError(message, advice=f"See `gatewayd outbox list --mail {before.mail_id}`; --again makes another delivery.")


def _advice(filing: FilingView, approved: Sequence[Address], targets: Mapping[str, TargetConfig]) -> str:
    people = ", ".join(map(str, approved)) or "nobody"
    return (
        f"Approved are: {people} (`forward:` in accounts/{filing.account}.yaml); "
        f"targets: {', '.join(targets) or 'none'} (`targets:` in operators/{filing.operator}.yaml)."
    )
