"""Apply all forward rules of an operator: which mail goes on to which targets, and what is withheld since it would go in a circle.

Rules send each mail on when it comes in new, never for backlog, a rematch or a retry, unless a person asks for it. The links that
an answer to mail of ours will inherit count as its own.

Mail to a target must pass ``loops``: whoever gets it may answer, or forward it back. A target that gets no mail, such as a
webhook, takes robots' mail too: a program must hear of bounces and receipts, and mails nobody by itself. If the program sends
mail because of it, that comes in as new mail; a circle of this kind is ended by the rate, which bounds targets of every kind.

Mail that comes back from a delivery is filed for those whose delivery it is (``tenancy``). If it is personal and others read the
mailbox, no rule sends it on.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from gatewayd.api.delivery import Delivery
from gatewayd.api.roles import Matcher
from gatewayd.api.values import Follows, Link
from gatewayd.config import rules
from gatewayd.errors import PluginError
from gatewayd.matching.tenancy import owned
from gatewayd.message.envelope import compared
from gatewayd.outgoing import loops
from gatewayd.outgoing.bounces import bounce
from gatewayd.outgoing.provenance import Returned, returned
from gatewayd.outgoing.rate_limit import Rate

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from gatewayd.api.delivery import Bounce, Origin
    from gatewayd.api.ledger import Filing
    from gatewayd.api.values import Record
    from gatewayd.config import AccountConfig, Config, OperatorConfig, TargetConfig
    from gatewayd.config.rules import Rule
    from gatewayd.message.mail import Mail
    from gatewayd.message.message_ids import Signer

__all__ = ["Rate", "Router", "RuleVerdict", "to_target"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleVerdict:
    """The verdict of one rule on a mail."""

    number: int
    #: The rule's place, as file:line.
    where: str
    targets: tuple[str, ...]
    #: At least one of the targets gets something.
    fires: bool
    #: Why it does not fire, or which targets it withholds the mail from, and why.
    because: str


#: The records that filings inherit, as ``OutboxVerbs.inheritable`` returns them.
_Inherits: TypeAlias = "Mapping[tuple[str, str | None, str], Sequence[Record]]"


@dataclass(frozen=True, slots=True)
class _Judged:
    """Reasons in the mail itself against sending it on as mail. Targets that get no mail are not concerned."""

    #: Why no rule may send it on.
    circle: str
    #: Why only a rule for automatic mail takes it.
    program: str

    def withheld(self, target: TargetConfig) -> str:
        return self.circle if target.account else ""

    def why_not(self, rule: Rule, target: TargetConfig) -> str:
        """Return why the rule does not take the mail for the target; withheld mail is taken, so that a person sees it."""
        if rule.when.automatic or not target.account or self.circle or not self.program:
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
        *,
        origins: Callable[[Collection[str], Collection[str]], Sequence[Origin]] = lambda _, __: (),
    ) -> None:
        """``inheritable`` and ``origins`` are the store's verbs; without the latter nobody knows whose deliveries come back."""
        self._config = config
        self._signer = signer
        self._inheritable = inheritable
        self._origins = origins
        self._rate = rate or Rate(config.limits.forwards_per_hour, per_sender=config.limits.forwards_per_sender)

    def returned(self, mails: Iterable[Mail]) -> Mapping[int, Returned]:
        """Return which of our own mail each mail of a batch brings back, by its id.

        Raises TransientError where the store can't be asked whose it is.
        """
        return returned(mails, self._signer, self._origins)

    def owned(self, account: str, filings: Sequence[Filing], back: Returned) -> Sequence[Filing]:
        """Return the filings of a mail that came by ``account``: only those of whose deliveries it brings back."""
        known = self._config.accounts.get(account)
        return owned(known, filings, back.origins) if known else filings

    def routed(
        self,
        account: str,
        filed: Sequence[tuple[Mail, Filing]],
        *,
        fire: Collection[int],
        back: Mapping[int, Returned] = MappingProxyType({}),
    ) -> list[tuple[int, Filing]]:
        """Return the filings of a batch that came in by ``account``, as (mail id, filing), with the deliveries that rules make.

        They follow only mail that is proven to be ours, under its Message-ID as we wrote it. ``back`` is the result of
        ``returned``. Rules fire for the mails whose ids are in ``fire``. Raises TransientError where the store can't be asked
        for the records that filings inherit.
        """
        proven = [(mail, self._proven(filing, back.get(mail.id))) for mail, filing in filed]
        inherits = self._inherits([filing for mail, filing in proven if mail.id in fire])
        done = []
        for mail, filing in proven:
            found = self._deliveries(account, mail, filing, inherits, back.get(mail.id)) if mail.id in fire else ()
            deliveries = tuple(found)
            done.append((mail.id, replace(filing, deliveries=deliveries) if deliveries else filing))
        return done

    def wrote(self, message_id: str) -> str:
        """Return a Message-ID as we wrote it that is proven to be that of a reply or new mail of ours; else an empty text."""
        return self._signer.proven(message_id) if self._signer.purpose(message_id) == "mail" else ""

    def bounce(self, mail: Mail, back: Returned | None = None) -> Bounce | None:
        """Return the bounce of one of our deliveries that the mail is; None where it is none."""
        return bounce(mail, self._signer, renamed=back.renamed if back else MappingProxyType({}))

    def explain(self, operator: str, account: str, mail: Mail, filing: Filing) -> Sequence[RuleVerdict]:
        """Return for each rule of the operator whether it sends the mail on, as if the mail were new. Counts nothing.

        The filing becomes that of the user whose account it is.
        """
        config, came_by = self._config.operators.get(operator), self._config.accounts.get(account)
        if config is None or not config.rules:
            return []
        back = self.returned([mail])[mail.id]
        filing = replace(filing, user=came_by.user if came_by and operator in came_by.operators else None)
        filing = next((one for one in self.owned(account, [filing], back) if one.operator == operator), filing)
        filing = self._proven(filing, back)
        filing = _with_inherited(mail, filing, self._inherits([filing]))
        judged = self._judged(mail, back)
        return [self._ruling(rule, config, self._why_not(rule, account, mail, filing), judged) for rule in config.rules]

    def _proven(self, filing: Filing, back: Returned | None) -> Filing:
        """Return the filing so that it follows only mail of ours; mail that it answers by a server's id is ours, too."""
        renamed = [one for one in back.renamed.values() if self.wrote(one)] if back else []
        if not filing.follows and not renamed:
            return filing
        proven = ((by, replace(one, message_id=self.wrote(one.message_id))) for by, one in filing.follows)
        said = [(by, one) for by, one in proven if one.message_id]
        known = {(by, one.message_id) for by, one in said}
        because = "it answers our mail {}, which its server renamed"
        config = self._config.operators.get(filing.operator)
        for by, _ in config.matchers if config and renamed else ():
            with suppress(PluginError):
                if self._config.registry.get(Matcher, by).follows:
                    said += [(by, Follows(0, one, because.format(one))) for one in renamed if (by, one) not in known]
        return replace(filing, follows=tuple(said))

    def _inherits(self, filings: Sequence[Filing]) -> _Inherits:
        """Return the records that filings will inherit; asks the store only if a rule may need them."""
        ruled = {name for name, one in self._config.operators.items() if one.rules}
        wanted = {_heir(each, one) for each in filings if each.operator in ruled for _, one in each.follows}
        return self._inheritable(wanted) if wanted else {}

    def _judged(self, mail: Mail, back: Returned | None) -> _Judged:
        return _Judged(loops.withheld(mail, self._signer, back.provenance if back else None), loops.by_program(mail))

    def _why_not(self, rule: Rule, account: str, mail: Mail, filing: Filing) -> str:
        known = self._config.accounts.get(account)
        if known and filing.user is not None and known.user != filing.user:
            return f"personal mail of {filing.user}, which came back by {account}: no rule takes it"
        return rules.why_not(rule, account=account, mail=mail, filing=filing)

    @staticmethod
    def _ruling(rule: Rule, config: OperatorConfig, because: str, judged: _Judged) -> RuleVerdict:
        fires = False
        if not because:
            targets = [config.targets[name] for name in rule.targets]
            unfit = {one.name: why for one in targets if (why := judged.why_not(rule, one))}
            withheld = {one.name: why for one in targets if (why := judged.withheld(one))}
            fires = not all(one.name in unfit or one.name in withheld for one in targets)
            said = [f"not to {name}: {why}" for name, why in unfit.items()]
            said += [f"withheld from {name}: {why}" for name, why in withheld.items()]
            because = "; ".join(said)
        return RuleVerdict(number=rule.number, where=rule.where, targets=rule.targets, fires=fires, because=because)

    def _deliveries(
        self, account: str, mail: Mail, filing: Filing, inherits: _Inherits, back: Returned | None
    ) -> Iterator[Delivery]:
        config = self._config.operators.get(filing.operator)
        if config is None or not config.rules:
            return
        linked = _with_inherited(mail, filing, inherits)
        fitting = [rule for rule in config.rules if not self._why_not(rule, account, mail, linked)]
        if not fitting:
            return
        judged = self._judged(mail, back)
        # A target gets a mail once, by the first rule that takes the mail for it.
        chosen: dict[str, Rule] = {}
        for rule in fitting:
            for name in rule.targets:
                if not judged.why_not(rule, config.targets[name]):
                    chosen.setdefault(name, rule)
        for name, rule in chosen.items():
            target = config.targets[name]
            # A program causes no mail from the sender of the mail that it is told of: for its target all senders count together.
            sender = mail.sender.email if mail.sender and target.account else ""
            itself = bool(target.account) and compared(sender) in set(map(compared, target.to))
            why = judged.withheld(target) or self._rate.refusal(filing.operator, name, sender, itself=itself)
            delivery = to_target(target, self._signer, self._config.accounts, cause=f"rule {rule.number}")
            yield replace(delivery, withheld=why)


def to_target(target: TargetConfig, signer: Signer, accounts: Mapping[str, AccountConfig], *, cause: str) -> Delivery:
    """Return a delivery to a target, with a new Message-ID."""
    account = accounts.get(target.account)
    domain = account.sends.sender.email.rpartition("@")[2] if account and account.sends else ""
    return Delivery(
        forwarder=target.kind,
        account=target.account,
        target=target.name,
        to=target.to or (target.name,),
        mode=target.mode,
        cause=cause,
        message_id=signer.message_id("forward", domain),
    )


def _heir(filing: Filing, follows: Follows) -> tuple[str, str | None, str]:
    return filing.operator, filing.user, follows.message_id


def _with_inherited(mail: Mail, filing: Filing, inherits: _Inherits) -> Filing:
    """Return the filing as rules see it: with the links that it will inherit."""
    links = tuple(
        (by, Link(mail.id, record, one.because)) for by, one in filing.follows for record in inherits.get(_heir(filing, one), ())
    )
    return replace(filing, links=(*filing.links, *links)) if links else filing
