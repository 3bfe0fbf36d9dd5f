"""Check a mail against the rules of the account that is to send it; each verdict names the rule's place in the config."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.desk.composing.recipients import strict
from gatewayd.desk.values import RuleCheck
from gatewayd.desk.word_documents import is_word
from gatewayd.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gatewayd.config import AccountConfig, SendConfig
    from gatewayd.desk.composing.writing import Draft

__all__ = ["checks", "refused", "size_check", "system_account", "users_account"]


def system_account(accounts: Mapping[str, AccountConfig], operator: str) -> tuple[AccountConfig, SendConfig]:
    """Return the account that sends for an operator, and its ``send:``; raises PermanentError where there is none."""
    for one in accounts.values():
        if one.sends and one.sends.system and operator in one.operators:
            return one, one.sends
    raise PermanentError(
        f"operator {operator} has no account that sends",
        advice=f"Give one account of {operator} that sends `system: true` in its `send:`; `gatewayd check` shows faulty ones.",
    )


def users_account(accounts: Mapping[str, AccountConfig], operator: str, user: str | None) -> tuple[AccountConfig, SendConfig]:
    """Return the account that sends for a user: the user's own one, else the operator's; raises PermanentError without any."""
    for one in accounts.values():
        if user is not None and one.sends and one.user == user and operator in one.operators:
            return one, one.sends
    return system_account(accounts, operator)


def checks(account: AccountConfig, sends: SendConfig, draft: Draft, size: int) -> tuple[RuleCheck, ...]:
    """Return the verdict of every rule of the account on a draft that takes ``size`` bytes."""
    own, sender = strict(sends.sender), draft.sender
    cc, bcc = len(draft.cc), len(draft.bcc)
    documents = ", ".join(one.name for one in draft.attachments if is_word(one))
    found = f"from {sender.email}" + ("" if sends.match else ", any sender is allowed")
    refusal = f"it sends no Word documents, and {documents} is or holds one, whatever its name"
    return (
        _check(
            account,
            "match",
            found,
            f"mail must be from {own.email}, not from {sender.email}",
            allowed=not sends.match or sender.key == own.key,
        ),
        _check(account, "cc", f"{cc or 'no'} Cc", "it sends no Cc", allowed=sends.cc or not cc),
        _check(account, "bcc", f"{bcc or 'no'} Bcc", "it sends no Bcc", allowed=sends.bcc or not bcc),
        _check(account, "docx", f"Word documents: {documents or 'none'}", refusal, allowed=sends.docx or not documents),
        size_check(account, sends, size),
    )


def size_check(account: AccountConfig, sends: SendConfig, size: int) -> RuleCheck:
    """Return the verdict of the account's ``max_bytes`` on a mail of so many bytes."""
    most = sends.max_bytes
    refusal = f"it sends at most {most} bytes, and this mail has {size}"
    return _check(account, "max_bytes", f"{size} of {most} bytes", refusal, allowed=size <= most)


def refused(checked: Iterable[RuleCheck]) -> Iterator[PermanentError]:
    """Yield an error for each rule that refuses the mail."""
    for one in checked:
        if not one.allowed:
            message = f"account {one.account} refuses it: {one.words}"
            yield PermanentError(message, advice=f"The rule is `{one.rule}`, in {one.where}.")


def _check(account: AccountConfig, rule: str, found: str, refusal: str, *, allowed: bool) -> RuleCheck:
    where = account.sends_lines.get(rule, f"accounts/{account.name}.yaml")
    return RuleCheck(rule=rule, account=account.name, where=where, allowed=allowed, words=found if allowed else refusal)
