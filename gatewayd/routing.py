"""What mail goes on by an operator's rules, to which targets, and what of it is withheld since it would go in a circle.

Rules send each mail on when it comes in new, never for backlog, a rematch or a retry, unless a person asks for it.

What goes to a target as mail must pass ``robots``: whoever gets it may answer, or forward it back. A target that gets no mail,
such as a webhook, takes robots' mail too: a program must hear of bounces and receipts, and mails nobody by itself. What such a
program sends because of it comes in as new mail; if that never ends, the rate does, which bounds targets of every kind.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gatewayd import robots, rules
from gatewayd.bounces import bounce
from gatewayd.delivery import Delivery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gatewayd.config import Config, OperatorConfig, TargetConfig
    from gatewayd.custody import Filing
    from gatewayd.delivery import Bounce
    from gatewayd.mail import Mail
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


class Router:
    """Evaluates the rules of one config. Used by any number of threads at once."""

    def __init__(self, config: Config, signer: Signer, rate: Rate | None = None) -> None:
        self._config = config
        self._signer = signer
        self._rate = rate or Rate(config.limits.forwards_per_hour)

    def routed(self, account: str, mail: Mail, filing: Filing, *, fire: bool) -> Filing:
        """Return the filing of a mail that came in by ``account``, with what its operator's rules send on if they are to ``fire``.

        Of what it follows only mail that is proven to be ours is left, under its Message-ID as we wrote it.
        """
        follows = tuple((by, replace(one, message_id=ours)) for by, one in filing.follows if (ours := self.wrote(one.message_id)))
        deliveries = tuple(self._deliveries(account, mail, filing)) if fire else ()
        return replace(filing, follows=follows, deliveries=deliveries) if filing.follows or deliveries else filing

    def wrote(self, message_id: str) -> str:
        """Return a Message-ID as we wrote it that is proven to be that of a reply or new mail of ours; else an empty text."""
        return self._signer.proven(message_id) if self._signer.purpose(message_id) == "mail" else ""

    def bounce(self, mail: Mail) -> Bounce | None:
        """Return the bounce of one of our deliveries that the mail is; None where it is none."""
        return bounce(mail, self._signer)

    def explain(self, operator: str, account: str, mail: Mail, filing: Filing) -> Sequence[Ruling]:
        """Return for each rule of the operator whether it sends the mail on, as if the mail were new. Counts nothing."""
        config = self._config.operators.get(operator)
        return [self._ruling(rule, config, account, mail, filing) for rule in config.rules] if config else []

    def _ruling(self, rule: Rule, config: OperatorConfig, account: str, mail: Mail, filing: Filing) -> Ruling:
        because = rules.why_not(rule, account=account, mail=mail, filing=filing)
        fires = False
        if not because:
            withheld = {name: self._withheld(rule, config.targets[name], mail) for name in rule.targets}
            fires = not all(withheld.values())
            because = "; ".join(f"withheld from {name}: {why}" for name, why in withheld.items() if why)
        return Ruling(number=rule.number, where=rule.where, targets=rule.targets, fires=fires, because=because)

    def _deliveries(self, account: str, mail: Mail, filing: Filing) -> Iterator[Delivery]:
        config = self._config.operators.get(filing.operator)
        fitting = [
            rule for rule in (config.rules if config else ()) if not rules.why_not(rule, account=account, mail=mail, filing=filing)
        ]
        if config is None or not fitting:
            return
        # A target gets a mail once, whatever rules name it: by the first one that lets it go.
        chosen: dict[str, tuple[Rule, str]] = {}
        for rule in fitting:
            for name in rule.targets:
                if name not in chosen or chosen[name][1]:
                    why = self._withheld(rule, config.targets[name], mail)
                    chosen[name] = chosen.get(name, (rule, why)) if why else (rule, "")
        for name, (rule, why) in chosen.items():
            yield self._delivery(filing.operator, config.targets[name], rule, why)

    def _withheld(self, rule: Rule, target: TargetConfig, mail: Mail) -> str:
        # A target that gets no mail is no part of a circle of mail.
        return robots.why_not(mail, self._signer, automatic=rule.automatic) if target.account else ""

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
