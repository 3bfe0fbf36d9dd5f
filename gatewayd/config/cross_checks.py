"""Check what the files say of each other, when all are read, against what runs.

Such a fault costs what it concerns and no more: a delivery by an account that is not there waits, a rule for mail by it fits
none, and of two system accounts the first is taken. The file runs as it stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewayd.api.roles import Transport
from gatewayd.config.account import sending
from gatewayd.config.faults import dotted, hint
from gatewayd.config.forwards import words
from gatewayd.config.models import ERRORS, NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewayd.config.checker import Checker
    from gatewayd.config.values import AccountConfig, OperatorConfig
    from gatewayd.config.yaml_documents import YamlPath
    from gatewayd.registry.loading import Registry

__all__ = ["CrossCheck"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossCheck:
    """All accounts that run, by name, and all that have a file: of a faulty one nothing is said but its own faults."""

    accounts: Mapping[str, AccountConfig]
    operators: Mapping[str, OperatorConfig]
    files: frozenset[str]
    registry: Registry

    def operator(self, checker: Checker, name: str) -> None:
        """Check the accounts that an operator's targets and rules name; ``checker`` has its file as it stands."""
        data = checker.document.data
        targets, rules = data.get("targets"), data.get("forward")
        for target, mapping in targets.items() if isinstance(targets, dict) else ():
            if isinstance(mapping, dict):
                self._target(checker, name, ("targets", target), mapping)
        for index, rule in enumerate(rules if isinstance(rules, list) else []):
            when = rule.get("when") if isinstance(rule, dict) else None
            account = when.get("account") if isinstance(when, dict) else None
            for place, word in words(account, ("forward", index, "when", "account")):
                self._serving(checker, name, place, word, sends=False)
            queue = when.get("queue") if isinstance(when, dict) else None
            for place, word in words(queue, ("forward", index, "when", "queue")):
                self._queue(checker, name, place, word)

    def queues(self, checkers: Mapping[str, Checker]) -> None:
        """Find accounts whose error queue is none of an operator's; ``checkers`` have the accounts' files by account."""
        for name, one in self.accounts.items():
            for operator in one.operators if one.imports else ():
                self._queue(checkers[name], operator, ("import", "error_queue"), one.imports.error_queue if one.imports else "")

    def _queue(self, checker: Checker, operator: str, place: YamlPath, word: str) -> None:
        known = self.operators.get(operator)
        if known is not None and not known.has_queue(word):
            near = hint(word, [*(known.queues or ()), ERRORS])
            checker.fault(place, f"{dotted(place)}: operator {operator!r} has no queue {word!r}{near}")

    def _target(self, checker: Checker, operator: str, place: YamlPath, mapping: Mapping[str, object]) -> None:
        kind, word = mapping.get("kind"), mapping.get("account")
        if not isinstance(word, str) or kind not in sending(self.registry):
            return
        found = self._serving(checker, operator, (*place, "account"), word, sends=True)
        if found is None:
            return
        if found.user is not None:
            what = f"account {word!r} is {found.user}'s own, expected one with 'operators'"
            checker.fault((*place, "account"), f"{dotted((*place, 'account'))}: {what}")
        elif found.kind != kind:
            what = f"expected {found.kind!r}, the kind of account {word!r}, found {kind!r}"
            checker.fault((*place, "kind"), f"{dotted((*place, 'kind'))}: {what}")

    def _serving(self, checker: Checker, operator: str, place: YamlPath, word: str, *, sends: bool) -> AccountConfig | None:
        """Return the account if it serves the operator and sends, or imports; None where that is a fault, or it has its own."""
        fits = [name for name, one in self.accounts.items() if operator in one.operators and self._able(one, sends=sends)]
        found = self.accounts.get(word)
        what = ""
        if found is None:
            # What is no name at all has been told of.
            said = word in self.files or not NAME.fullmatch(word)
            what = "" if said else f"unknown account {word!r}{hint(word, fits)}"
        elif operator not in found.operators:
            what = f"account {word!r} does not serve operator {operator!r}{hint('', fits)}"
        elif not self._able(found, sends=sends):
            what = f"account {word!r} {'sends' if sends else 'imports'} nothing{hint('', fits)}"
        if what:
            checker.fault(place, f"{dotted(place)}: {what}")
        return None if what else found

    def _able(self, account: AccountConfig, *, sends: bool) -> bool:
        # One whose import is left out for now is meant to import.
        return account.sends is not None if sends else account.kind in self.registry.kinds(Transport)

    def mailboxes(self, checkers: Mapping[str, Checker]) -> None:
        """Find accounts that share a mailbox without a word; ``checkers`` have the accounts' files by account."""
        first: dict[str, str] = {}
        for name, one in self.accounts.items():
            if not one.mailbox or one.second or not (one.imports and one.imports.enabled):
                continue
            other = first.setdefault(one.mailbox, name)
            if other != name:
                what = f"accounts {other!r} and {name!r} have one mailbox, {one.mailbox}"
                advice = "expected one account, or `second: true` in the file of the one that is to import its mail once more"
                checkers[name].fault(("username",), f"{what}: {advice}")

    def systems(self, checkers: Mapping[str, Checker]) -> None:
        """Find second system accounts; ``checkers`` have the accounts' files by account."""
        first: dict[str, str] = {}
        for name, one in self.accounts.items():
            if one.sends is None or not one.sends.system:
                continue
            taken = [operator for operator in one.operators if operator in first]
            for operator in taken[:1]:
                what = f"operator {operator!r} has a system account already, in {first[operator]}: expected one"
                checkers[name].fault(("send", "system"), f"send.system: {what}")
            first = dict.fromkeys(one.operators, one.sends_lines["system"]) | first
