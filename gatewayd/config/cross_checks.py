"""Check the files of the config against each other, once all are read.

Such a fault costs what it concerns and no more: a delivery by an account that does not exist waits, a rule for mail by it fits
none, and of two system accounts the first is taken. The file itself is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewayd.api.roles import Transport
from gatewayd.config.faults import dotted, hint
from gatewayd.config.models.fields import ERRORS, NAME
from gatewayd.config.operator import words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewayd.config.checker import Checker
    from gatewayd.config.models.main import NotifyConfig
    from gatewayd.config.values import AccountConfig, OperatorConfig
    from gatewayd.config.yaml_documents import YamlPath
    from gatewayd.registry.loading import Registry

__all__ = ["CrossCheck"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossCheck:
    """All accounts and operators that run, by name, and the checkers of all files, by file; faults are added to these."""

    accounts: Mapping[str, AccountConfig]
    operators: Mapping[str, OperatorConfig]
    checkers: Mapping[str, Checker]
    registry: Registry

    def check(self) -> None:
        """Check all accounts and operators."""
        for file, checker in self.checkers.items():
            if file.startswith("operators/"):
                self._operator(checker, file.removeprefix("operators/").removesuffix(".yaml"))
        self._systems()
        self._mailboxes()
        for name, one in self.accounts.items():
            for operator in one.operators if one.imports else ():
                queue = one.imports.error_queue if one.imports else ""
                self._queue(self._account(name), operator, ("import", "error_queue"), queue)

    def notify(self, checker: Checker, found: NotifyConfig | None) -> None:
        """Check that the account of ``notify`` sends. If it doesn't, the administrators are not told, and all else goes on."""
        if found is None or not found.through:
            return
        fits = [name for name, one in self.accounts.items() if one.sends]
        account = self.accounts.get(found.through)
        if account is None:
            checker.lesser(("notify", "through"), f"notify.through: unknown account {found.through!r}{hint(found.through, fits)}")
        elif account.sends is None:
            checker.lesser(("notify", "through"), f"notify.through: account {found.through!r} sends nothing{hint('', fits)}")

    def _account(self, name: str) -> Checker:
        return self.checkers[f"accounts/{name}.yaml"]

    def _operator(self, checker: Checker, name: str) -> None:
        """Check the accounts that an operator's targets and rules name, as they are in its file."""
        data = checker.document.data
        targets, rules = data.get("targets"), data.get("forward")
        for target, mapping in targets.items() if isinstance(targets, dict) else ():
            if isinstance(mapping, dict):
                self._target(checker, name, ("targets", target), mapping)
        for index, rule in enumerate(rules if isinstance(rules, list) else []):
            given = rule.get("when") if isinstance(rule, dict) else None
            when = given if isinstance(given, dict) else {}
            for place, word in words(when.get("account"), ("forward", index, "when", "account")):
                self._serving(checker, name, place, word, sends=False)
            for place, word in words(when.get("queue"), ("forward", index, "when", "queue")):
                self._queue(checker, name, place, word)

    def _queue(self, checker: Checker, operator: str, place: YamlPath, word: str) -> None:
        known = self.operators.get(operator)
        if known is not None and not known.has_queue(word):
            near = hint(word, [*(known.queues or ()), ERRORS])
            checker.fault(place, f"{dotted(place)}: operator {operator!r} has no queue {word!r}{near}")

    def _target(self, checker: Checker, operator: str, place: YamlPath, mapping: Mapping[str, object]) -> None:
        kind, word = mapping.get("kind"), mapping.get("account")
        if not isinstance(word, str) or kind not in self.registry.sending():
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
            # Faulty names and faults of the account's own file are reported elsewhere.
            reported = f"accounts/{word}.yaml" in self.checkers or not NAME.fullmatch(word)
            what = "" if reported else f"unknown account {word!r}{hint(word, fits)}"
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

    def _mailboxes(self) -> None:
        """Find accounts that share a mailbox without saying so."""
        first: dict[str, str] = {}
        for name, one in self.accounts.items():
            if not one.mailbox or one.second or not (one.imports and one.imports.enabled):
                continue
            other = first.setdefault(one.mailbox, name)
            if other != name:
                what = f"accounts {other!r} and {name!r} have one mailbox, {one.mailbox}"
                advice = "expected one account, or `second: true` in the file of the one that is to import its mail once more"
                self._account(name).fault(("username",), f"{what}: {advice}")

    def _systems(self) -> None:
        """Find second system accounts of an operator."""
        first: dict[str, str] = {}
        for name, one in self.accounts.items():
            if one.sends is None or not one.sends.system:
                continue
            taken = [operator for operator in one.operators if operator in first]
            for operator in taken[:1]:
                what = f"operator {operator!r} has a system account already, in {first[operator]}: expected one"
                self._account(name).fault(("send", "system"), f"send.system: {what}")
            first = dict.fromkeys(one.operators, one.sends_lines["system"]) | first
