"""What mail goes on by an operator's rules, to which targets, and what of it is withheld since it would go in a circle.

Rules send each mail on when it comes in new, never for backlog, a rematch or a retry, unless a person asks for it. The links that
an answer to mail of ours will inherit count as its own.

What goes to a target as mail must pass ``robots``: whoever gets it may answer, or forward it back. A target that gets no mail,
such as a webhook, takes robots' mail too: a program must hear of bounces and receipts, and mails nobody by itself. What such a
program sends because of it comes in as new mail; if that never ends, the rate does, which bounds targets of every kind.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from gatewayd import robots, rules
from gatewayd.bounces import bounce
from gatewayd.delivery import Delivery
from gatewayd.model import Link

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from gatewayd.config import Config, OperatorConfig, TargetConfig
    from gatewayd.custody import Filing
    from gatewayd.delivery import Bounce
    from gatewayd.mail import Mail
    from gatewayd.model import Follows, Record
    from gatewayd.rules import Rule
    from gatewayd.signing import Signer

__all__ = ["Rate", "Router", "Ruling"]

#: The span in which forwards to a target are counted, in seconds.
_HOUR = 3600.0


class Rate:
    """Counts what rules send to each target of this process within an hour. Used by any number of threads at once.

    A target that has had as many as it may gets no more until the oldest of them is an hour old. It is remembered until this
    process ends.
    """

    def __init__(self, limit: int = 1000, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        #: For each target, when each of its forwards will be an hour old, the oldest first.
        self._places: dict[tuple[str, str], deque[float]] = {}
        self._tripped: dict[tuple[str, str], float] = {}

    def tripped(self, operator: str, target: str) -> bool:
        """Whether the target has had too many within the hour; if not, this one is counted."""
        key, now = (operator, target), self._clock()
        places = self._places.setdefault(key, deque([now] * self._limit))
        try:
            # A place is out of everybody's reach while it is looked at: no lock is needed, and none is taken twice.
            free_at = places.popleft()
        except IndexError:
            free_at = now + _HOUR
        else:
            if free_at <= now:
                places.append(now + _HOUR)
                return False
            places.appendleft(free_at)
        self._tripped[key] = free_at
        return True

    def open(self) -> tuple[str, ...]:
        """Return the targets that were refused something and still have had too many, as ``operator/target``."""
        now = self._clock()
        return tuple(sorted(f"{operator}/{target}" for (operator, target), until in list(self._tripped.items()) if until > now))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What one rule says of a mail."""

    number: int
    #: Where the rule stands, as file:line.
    where: str
    targets: tuple[str, ...]
    #: Something goes to at least one of the targets.
    fires: bool
    #: Why it does not fire, or what of it is withheld.
    because: str


#: The records that filings inherit, as ``OutboxVerbs.inheritable`` returns them.
_Inherits: TypeAlias = "Mapping[tuple[str, str | None, str], Sequence[Record]]"


@dataclass(frozen=True, slots=True)
class _Judged:
    """What stands in a mail itself against sending it on as mail. It says nothing against targets that get none."""

    #: Why no rule may send it on.
    circle: str
    #: Why only a rule for automatic mail takes it.
    program: str

    def withheld(self, target: TargetConfig) -> str:
        return self.circle if target.account else ""

    def why_not(self, rule: Rule, target: TargetConfig) -> str:
        """Return why the rule does not take the mail for the target; what is withheld is taken, so that a person sees it."""
        if rule.automatic or not target.account or self.circle or not self.program:
            return ""
        return f"{self.program}, and the rule does not say `automatic: true`"


class Router:
    """Evaluates the rules of one config. Used by any number of threads at once."""

    def __init__(
        self,
        config: Config,
        signer: Signer,
        inheritable: Callable[[Collection[tuple[str, str | None, str]]], _Inherits],
        rate: Rate | None = None,
    ) -> None:
        """``inheritable`` is the store's verb."""
        self._config = config
        self._signer = signer
        self._inheritable = inheritable
        self._rate = rate or Rate(config.limits.forwards_per_hour)

    def routed(self, account: str, filed: Sequence[tuple[Mail, Filing]], *, fire: Collection[int]) -> list[tuple[int, Filing]]:
        """Return the filings of a batch that came in by ``account``, as (mail id, filing), with what rules send on.

        Of what they follow, only mail that is proven to be ours is left, under its Message-ID as we wrote it. Rules fire for the
        mails whose ids are in ``fire``. Raises TransientError where the store can't be asked for what is inherited.
        """
        proven = [(mail, self._proven(filing)) for mail, filing in filed]
        inherits = self._inherits([filing for mail, filing in proven if mail.id in fire])
        return [(mail.id, self._sent_on(account, mail, filing, inherits) if mail.id in fire else filing) for mail, filing in proven]

    def wrote(self, message_id: str) -> str:
        """Return a Message-ID as we wrote it that is proven to be that of a reply or new mail of ours; else an empty text."""
        return self._signer.proven(message_id) if self._signer.purpose(message_id) == "mail" else ""

    def bounce(self, mail: Mail) -> Bounce | None:
        """Return the bounce of one of our deliveries that the mail is; None where it is none."""
        return bounce(mail, self._signer)

    def explain(self, operator: str, account: str, mail: Mail, filing: Filing) -> Sequence[Ruling]:
        """Return for each rule of the operator whether it sends the mail on, as if the mail were new. Counts nothing.

        The filing becomes that of the user whose account it is.
        """
        config, came_by = self._config.operators.get(operator), self._config.accounts.get(account)
        if config is None or not config.rules:
            return []
        owner = came_by.user if came_by and operator in came_by.operators else None
        filing = self._proven(replace(filing, owner=owner))
        filing = _with_inherited(mail, filing, self._inherits([filing]))
        judged = self._judged(mail)
        return [
            self._ruling(rule, config, rules.why_not(rule, account=account, mail=mail, filing=filing), judged)
            for rule in config.rules
        ]

    def _proven(self, filing: Filing) -> Filing:
        if not filing.follows:
            return filing
        proven = ((by, replace(one, message_id=self.wrote(one.message_id))) for by, one in filing.follows)
        return replace(filing, follows=tuple((by, one) for by, one in proven if one.message_id))

    def _inherits(self, filings: Sequence[Filing]) -> _Inherits:
        """Return what filings will inherit; the store is asked only where there is a rule to which it matters."""
        ruled = {name for name, one in self._config.operators.items() if one.rules}
        wanted = {_heir(each, one) for each in filings if each.operator in ruled for _, one in each.follows}
        return self._inheritable(wanted) if wanted else {}

    def _judged(self, mail: Mail) -> _Judged:
        return _Judged(robots.withheld(mail, self._signer), robots.by_program(mail))

    @staticmethod
    def _ruling(rule: Rule, config: OperatorConfig, because: str, judged: _Judged) -> Ruling:
        fires = False
        if not because:
            targets = [config.targets[name] for name in rule.targets]
            unfit = {one.name: why for one in targets if (why := judged.why_not(rule, one))}
            withheld = {one.name: why for one in targets if (why := judged.withheld(one))}
            fires = not all(one.name in unfit or one.name in withheld for one in targets)
            said = [f"not to {name}: {why}" for name, why in unfit.items()]
            said += [f"withheld from {name}: {why}" for name, why in withheld.items()]
            because = "; ".join(said)
        return Ruling(number=rule.number, where=rule.where, targets=rule.targets, fires=fires, because=because)

    def _sent_on(self, account: str, mail: Mail, filing: Filing, inherits: _Inherits) -> Filing:
        deliveries = tuple(self._deliveries(account, mail, filing, inherits))
        return replace(filing, deliveries=deliveries) if deliveries else filing

    def _deliveries(self, account: str, mail: Mail, filing: Filing, inherits: _Inherits) -> Iterator[Delivery]:
        config = self._config.operators.get(filing.operator)
        if config is None or not config.rules:
            return
        linked = _with_inherited(mail, filing, inherits)
        fitting = [rule for rule in config.rules if not rules.why_not(rule, account=account, mail=mail, filing=linked)]
        if not fitting:
            return
        judged = self._judged(mail)
        # A target gets a mail once, whatever rules name it: by the first one that takes the mail for it.
        chosen: dict[str, Rule] = {}
        for rule in fitting:
            for name in rule.targets:
                if not judged.why_not(rule, config.targets[name]):
                    chosen.setdefault(name, rule)
        for name, rule in chosen.items():
            yield self._delivery(filing.operator, config.targets[name], rule, judged.withheld(config.targets[name]))

    def _delivery(self, operator: str, target: TargetConfig, rule: Rule, why: str) -> Delivery:
        if not why and self._rate.tripped(operator, target.name):
            limit = self._config.limits.forwards_per_hour
            why = f"rules have sent {limit} mails to {target.name} within an hour, and no more are let through (forwards_per_hour)"
        return Delivery(
            forwarder=target.kind,
            account=target.account,
            target=target.name,
            to=target.to or (target.name,),
            mode=target.mode,
            cause=f"rule {rule.number}",
            message_id=self._signer.message_id("forward", self._domain(target)),
            withheld=why,
        )

    def _domain(self, target: TargetConfig) -> str:
        account = self._config.accounts.get(target.account)
        return account.sends.sender.email.rpartition("@")[2] if account and account.sends else ""


def _heir(filing: Filing, follows: Follows) -> tuple[str, str | None, str]:
    return filing.operator, filing.owner, follows.message_id


def _with_inherited(mail: Mail, filing: Filing, inherits: _Inherits) -> Filing:
    """Return the filing as rules see it: with the links that it will inherit."""
    links = tuple(
        (by, Link(mail.id, record, one.because)) for by, one in filing.follows for record in inherits.get(_heir(filing, one), ())
    )
    return replace(filing, links=(*filing.links, *links)) if links else filing
