"""Prepare a forward by hand: to addresses that the mail's account approves, and to the operator's targets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gatewayd.api.delivery import Delivery, DeliveryQuery
from gatewayd.config import TargetConfig
from gatewayd.desk import sending_rules
from gatewayd.desk.composing.recipients import strict
from gatewayd.desk.values import PlannedDelivery, PreparedMail
from gatewayd.errors import PermanentError, enumerated
from gatewayd.message.envelope import compared
from gatewayd.message.values import Address
from gatewayd.outgoing import loops
from gatewayd.outgoing.routing import to_target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gatewayd.api.delivery import DeliveryView, Mode
    from gatewayd.api.queries import FilingView, Viewer
    from gatewayd.config import AccountConfig, OperatorConfig
    from gatewayd.desk import Desk
    from gatewayd.message.message_ids import Signer

__all__ = ["Forwarding"]

_DELIVERIES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarding:
    """Prepares mail that people forward; ``Desk.send`` sends it.

    Nothing is withheld from them: a note says why a rule would have withheld it.
    """

    desk: Desk
    signer: Signer
    operators: Mapping[str, OperatorConfig]
    accounts: Mapping[str, AccountConfig]

    def forward(
        self, viewer: Viewer, mail_id: int, to: Sequence[str], *, who: str, mode: Mode | None = None, again: bool = False
    ) -> PreparedMail:
        """Prepare a forward of a stored mail to ``to``: names of targets, and names or addresses that the account approves.

        Each gets a delivery of its own. ``mode`` None: ``attached``, or a target's own mode. Raises PermanentError if one of ``to``
        is not approved, or has a delivery of this mail already and ``again`` is False.
        """
        filing = self.desk.get(viewer, mail_id)
        goals = self._goals(filing, to)
        before = self.desk.store.deliveries(viewer, DeliveryQuery(mail_id=mail_id, limit=_DELIVERIES))
        planned = tuple(self._planned(filing, goal, before, who=who, mode=mode, again=again) for goal in goals)
        accounts = filter(None, map(self.accounts.get, dict.fromkeys(one.delivery.account for one in planned)))
        return PreparedMail(
            viewer=viewer,
            mail_id=mail_id,
            planned=planned,
            size=filing.size,
            checks=tuple(sending_rules.size_check(one, one.sends, filing.size) for one in accounts if one.sends),
            notes=tuple(self._notes(viewer, filing, goals)),
        )

    # --- to whom ----------------------------------------------------------------------------------------------------

    def _goals(self, filing: FilingView, to: Sequence[str]) -> list[Address | TargetConfig]:
        """Return the targets and addresses that a person typed, each once."""
        operator, account = self.operators.get(filing.operator), self.accounts.get(filing.account)
        targets = operator.targets if operator else {}
        # Only as far as the account serves this operator and user today (promise P6).
        serves = account and filing.operator in account.operators and account.user in {None, filing.user}
        approved = account.approved if account and serves else ()
        goals: list[Address | TargetConfig] = []
        for word in to:
            asked, email = word.strip().casefold(), compared(word.strip())
            found: list[Address | TargetConfig] = []
            if asked in targets:
                # The names of targets are in lower case.
                found = [targets[asked]]
            elif asked:
                # All addresses of a name get it.
                found += [
                    one for one in approved if asked in {one.name.casefold(), str(one).casefold()} or compared(one.email) == email
                ]
            if not found:
                raise PermanentError(f"{word!r} is not approved to forward this mail to", advice=_advice(filing, approved, targets))
            goals += [one for one in found if one not in goals]
        return goals

    # --- the deliveries ---------------------------------------------------------------------------------------------

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
        if isinstance(goal, Address):
            account, sends = sending_rules.system_account(self.accounts, filing.operator)
            to = strict(goal).email
            delivery = Delivery(
                forwarder=account.kind,
                account=account.name,
                to=(to,),
                mode=mode or "attached",
                cause=f"person:{who}",
                message_id=self.signer.message_id("forward", sends.sender.email.rpartition("@")[2]),
            )
        else:
            delivery = to_target(goal, self.signer, self.accounts, cause=f"person:{who}")
            delivery = replace(delivery, mode=mode if mode and goal.account else goal.mode)
        same = [one for one in before if one.delivery.goal == delivery.goal]
        standing = next((one for one in same if one.state != "cancelled"), None)
        if standing is not None and not again:
            raise _twice(standing)
        if same:
            # A cause of its own: the same filing, goal and cause never make two deliveries.
            delivery = replace(delivery, cause=f"{delivery.cause} ({len(same) + 1})")
        sending = self.accounts.get(delivery.account)
        _check_mode(delivery.mode, sending)
        sender = sending.sends.sender if sending and sending.sends else None
        return PlannedDelivery(
            delivery=delivery,
            sender=str(sender) if sender and delivery.mode == "attached" else "",
            envelope=sender.email if sender else "",
        )

    def _notes(self, viewer: Viewer, filing: FilingView, goals: Sequence[Address | TargetConfig]) -> Iterator[str]:
        """Yield notes for the person: why no rule would forward the mail, and which targets are suspended."""
        if why := loops.withheld(self.desk.mail(viewer, filing.id), self.signer):
            yield f"no rule would forward it: {why}"
        suspended = {(one.operator, one.target): one.cause for one in self.desk.store.suspensions()}
        for goal in goals:
            if isinstance(goal, TargetConfig) and (cause := suspended.get((filing.operator, goal.name))):
                resume = f"`gatewayd outbox resume {goal.name} --operator {filing.operator}`"
                yield f"target {goal.name} is suspended ({cause}): it waits until {resume}"


def _check_mode(mode: Mode, account: AccountConfig | None) -> None:
    if account and mode not in account.modes:
        advice = f"Forward it {enumerated(one for one in account.modes if one != 'as is')}."
        raise PermanentError(f"account {account.name}, of kind {account.kind}, can't send {mode}", advice=advice)


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
