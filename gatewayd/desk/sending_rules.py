"""What an account may send: its rules, each with where it stands and what it says of a mail."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gatewayd.desk.composing import strict
from gatewayd.desk.values import RuleCheck
from gatewayd.desk.word_documents import is_word
from gatewayd.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gatewayd.config import AccountConfig, SendConfig
    from gatewayd.desk.composing import Draft

__all__ = ["checks", "refused", "size_check", "system_account"]


def system_account(accounts: Mapping[str, AccountConfig], operator: str) -> tuple[AccountConfig, SendConfig]:
    """Return the account that sends for an operator, and what it may send; raises PermanentError where there is none."""
    for one in accounts.values():
        if one.sends and one.sends.system and operator in one.operators:
            return one, one.sends
    raise PermanentError(
        f"operator {operator} has no account that sends",
        advice=f"Give one account of {operator} that sends `system: true` in its `send:`; `gatewayd check` shows faulty ones.",
    )


def checks(account: AccountConfig, sends: SendConfig, draft: Draft, size: int) -> tuple[RuleCheck, ...]:
    """Return what every rule of the account says of a draft that takes ``size`` bytes."""
    own, sender = strict(sends.sender).email, draft.sender.email
    documents = ", ".join(one.name for one in draft.attachments if is_word(one))
    found = [
        _checked(
            "match",
            f"from {sender}" + ("" if sends.match else ", any sender is allowed"),
            allowed=not sends.match or sender.lower() == own.lower(),
            refusal=f"mail must be from {own}, not from {sender}",
        ),
        _checked("cc", _count(len(draft.cc), "Cc"), allowed=sends.cc or not draft.cc, refusal="it sends no Cc"),
        _checked("bcc", _count(len(draft.bcc), "Bcc"), allowed=sends.bcc or not draft.bcc, refusal="it sends no Bcc"),
        _checked(
            "docx",
            f"Word documents: {documents or 'none'}",
            allowed=sends.docx or not documents,
            refusal=f"it sends no Word documents, and {documents} is or holds one, whatever its name",
        ),
    ]
    return (*(_placed(one, account) for one in found), size_check(account, sends, size))


def size_check(account: AccountConfig, sends: SendConfig, size: int) -> RuleCheck:
    """Return what the account's ``max_bytes`` says of a mail of so many bytes."""
    most = sends.max_bytes
    refusal = f"it sends at most {most} bytes, and this mail has {size}"
    return _placed(_checked("max_bytes", f"{size} of {most} bytes", allowed=size <= most, refusal=refusal), account)


def refused(checked: Iterable[RuleCheck]) -> Iterator[PermanentError]:
    """Yield an error for each rule that refuses."""
    for one in checked:
        if not one.allowed:
            message = f"account {one.account} refuses it: {one.words}"
            yield PermanentError(message, advice=f"The rule is `{one.rule}`, in {one.where}.")


def _checked(rule: str, words: str, *, allowed: bool, refusal: str) -> RuleCheck:
    return RuleCheck(rule=rule, account="", where="", allowed=allowed, words=words if allowed else refusal)


def _placed(checked: RuleCheck, account: AccountConfig) -> RuleCheck:
    return replace(checked, account=account.name, where=account.sends_lines.get(checked.rule, f"accounts/{account.name}.yaml"))


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number else f"no {what}"
