"""Test a mail against one forward rule of an operator, and say why it does not fit. Patterns are RE2's, whose time is linear."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import re2

from gatewayd.errors import enumerated
from gatewayd.message.envelope import spellings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd.api.ledger import Filing
    from gatewayd.api.values import Kind
    from gatewayd.config.models.operator import RuleConditions
    from gatewayd.message.mail import Mail
    from gatewayd.message.values import Address

__all__ = ["Rule", "compiled", "why_not"]

#: How much memory a compiled pattern may take, in bytes (promise P8). A pattern that needs more is refused.
_MAX_MEMORY = 1 << 20
#: How many addresses of a mail a reason names.
_TOLD = 3


class _Pattern(Protocol):
    def search(self, text: str) -> object: ...


@lru_cache(maxsize=256)
def compiled(pattern: str) -> _Pattern:
    """Return a pattern that can be searched for; raises ValueError for one that RE2 does not know."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_MEMORY
    try:
        found: _Pattern = re2.compile(pattern, options)
    except re2.error as error:
        why = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error)
        raise ValueError(f"expected a pattern in RE2's syntax: {why}") from None
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of an operator."""

    #: Its place in the operator's file, counted from 1.
    number: int
    #: Where it is written, as file:line. A rule that only moved within its file is equal.
    where: str = field(compare=False)
    #: All of them must hold; an empty or None condition always does.
    when: RuleConditions
    #: Names of the operator's targets.
    targets: tuple[str, ...]


def why_not(rule: Rule, *, account: str, mail: Mail, filing: Filing) -> str:
    """Return the first condition of a rule that does not hold, in words with what was found; empty if all hold.

    ``account`` is by which the mail came; ``filing`` has what the operator's matchers said, with the links that it will inherit.
    ``rule.when.automatic`` is not looked at: it matters only for targets that get mail, and ``routing`` knows which do.
    """
    return next(filter(None, _objections(rule.when, account, mail, filing)), "")


def _objections(when: RuleConditions, account: str, mail: Mail, filing: Filing) -> Iterator[str]:
    """Yield for each condition, in the order of the file, why it does not hold; an empty text for one that does."""
    if when.linked:
        yield _not_linked(when.linked, filing)
    if when.unlinked and filing.links:
        yield f"linked to {_kinds(filing)}, expected to be linked to nothing"
    if filing.user is not None and account not in when.accounts:
        # A colleague's own mail goes nowhere by a rule that was written for the shared mailbox.
        yield f"personal mail of {filing.user}, and the rule does not name the account {account}"
    if when.accounts and account not in when.accounts:
        yield f"came by {account}, not by {enumerated(when.accounts)}"
    if when.from_:
        yield _not_among(when.from_, mail.from_, "from")
    if when.to:
        yield _not_among(when.to, (*mail.to, *mail.cc), "to")
    if when.subject and not compiled(when.subject).search(mail.subject):
        yield f"subject does not match {when.subject!r}"
    if when.attachment is not None and when.attachment != bool(mail.attachments):
        count = len(mail.attachments)
        yield f"has {count} attachment{'' if count == 1 else 's'}" if count else "has no attachment"
    # A filing names its account's queue, but is in it only if it has faults.
    queue = filing.queue if filing.faults else ""
    if when.queues and queue not in when.queues:
        yield f"is in {f'the error queue {queue}' if queue else 'no error queue'}, not in {enumerated(when.queues)}"


def _not_linked(kinds: Sequence[Kind], filing: Filing) -> str:
    if any(link.record.kind in kinds for _, link in filing.links):
        return ""
    found = _kinds(filing) or "nothing"
    rivals = sorted({record.kind for _, several in filing.rivals for record in several.records if record.kind in kinds})
    open_ = f" (which {enumerated(rivals)} is not decided)" if rivals else ""
    return f"linked to {found}, not to {enumerated(kinds)}{open_}"


def _kinds(filing: Filing) -> str:
    return " and ".join(sorted({link.record.kind for _, link in filing.links}))


def _not_among(wanted: Sequence[str], found: Sequence[Address], way: str) -> str:
    emails = [address.key for address in found]
    meant = {one for each in wanted for one in spellings(each)}
    if any(email in meant or f"@{email.rpartition('@')[2]}" in meant for email in emails):
        return ""
    more = f" and {len(emails) - _TOLD} more" if len(emails) > _TOLD else ""
    told = f"{', '.join(emails[:_TOLD])}{more}" if emails else "nobody"
    return f"{way} {told}, not {way} {enumerated(wanted)}"
