"""Prepare new mail and answers that people write, by the operator's system account and within its rules."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gatewayd.api.delivery import Delivery, Outgoing
from gatewayd.api.endpoint import Login
from gatewayd.config import token_use
from gatewayd.desk import sending_rules
from gatewayd.desk.composing.answering import QuotedOriginal, answered, quoted, references
from gatewayd.desk.composing.recipients import LONGEST_NAME, addresses, strict
from gatewayd.desk.composing.writing import Draft, written
from gatewayd.desk.values import PlannedDelivery, PreparedMail
from gatewayd.errors import PermanentError
from gatewayd.message import header_parsing
from gatewayd.message.addresses import address_list
from gatewayd.message.envelope import compared
from gatewayd.message.mail import BytesSource, parse
from gatewayd.message.values import Address

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gatewayd.api.queries import FilingView, Viewer
    from gatewayd.config import AccountConfig, OperatorConfig, SendConfig, UserConfig
    from gatewayd.desk import Desk
    from gatewayd.desk.values import NewMail
    from gatewayd.message.mail import Mail
    from gatewayd.message.message_ids import Signer

__all__ = ["Writer"]

_MOST = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """Prepares new mail and answers. Nothing is stored, so that all can be shown first; ``Desk.send`` sends."""

    desk: Desk
    signer: Signer
    operators: Mapping[str, OperatorConfig]
    accounts: Mapping[str, AccountConfig]

    def new_mail(self, viewer: Viewer, new_mail: NewMail, *, who: str) -> PreparedMail:
        """Prepare a new mail. It is filed as general mail of the operator.

        Raises PermanentError if it can't be a mail, or the operator has no account that sends.
        """
        account, sends = sending_rules.system_account(self.accounts, viewer.operator)
        return self._prepared(viewer, account, sends, self._draft(new_mail, sends), who=who)

    def reply(self, viewer: Viewer, mail_id: int, new_mail: NewMail, *, who: str, to_all: bool = False) -> PreparedMail:
        """Prepare an answer to a mail that came in, or to one of our own, with the original quoted.

        It goes to Reply-To, else From; an answer to our own mail to its recipients. ``to_all``: to the other recipients too, but
        not to our own addresses. The recipients of ``new_mail`` come on top. It is filed for the same operator and user as the
        mail. An answer to personal mail is that user's: it goes through the user's own account that sends, else through the
        operator's, from the user's address where that one allows it. Answers come to the user in any case, also to what somebody
        wrote with whom the mail is shared; that is from the operator's address.
        """
        filing, mail = self.desk.get(viewer, mail_id), self.desk.mail(viewer, mail_id)
        # Whom it is shared with answers in nobody else's name.
        own = filing.user if filing.user in viewer.users else None
        account, sends = sending_rules.users_account(self.accounts, viewer.operator, own)
        user = self._answerer(filing)
        to, cc, notes = self._answered(filing, mail, to_all=to_all)
        text, html = quoted(new_mail.text, new_mail.html, QuotedOriginal.of(mail))
        new_mail = replace(new_mail, subject=new_mail.subject or answered(mail.subject), text=text, html=html)
        draft = self._draft(new_mail, sends, user if own and not (sends.match or account.user) else None)
        draft = replace(
            draft,
            to=_distinct((*to, *draft.to)),
            cc=_distinct((*cc, *draft.cc), but=(*to, *draft.to)),
            # Also where it is from the user: some servers write their own account's address there.
            reply_to=user,
            in_reply_to=mail.message_id,
            references=references(mail),
        )
        return self._prepared(viewer, account, sends, draft, who=who, answers=filing, notes=notes)

    # --- from the typed mail to a delivery --------------------------------------------------------------------------

    def _draft(self, new_mail: NewMail, sends: SendConfig, own: Address | None = None) -> Draft:
        """Return what was typed as a draft, by default from ``own``, else as the account says."""
        sender = strict(own or sends.sender)
        if new_mail.sender:
            typed = addresses([new_mail.sender])
            if len(typed) != 1:
                raise PermanentError(f"a mail is from one address, not from {len(typed)}")
            sender = replace(typed[0], name=typed[0].name or (sender.name if typed[0].key == sender.key else ""))
        return Draft(
            sender=sender,
            to=_distinct(addresses(new_mail.to)),
            cc=_distinct(addresses(new_mail.cc)),
            bcc=_distinct(addresses(new_mail.bcc)),
            subject=new_mail.subject,
            text=new_mail.text,
            html=new_mail.html,
            attachments=new_mail.attachments,
            message_id=self.signer.message_id("mail", sender.email.rpartition("@")[2]),
            date=datetime.now(UTC).replace(microsecond=0),
        )

    def _prepared(
        self,
        viewer: Viewer,
        account: AccountConfig,
        sends: SendConfig,
        draft: Draft,
        *,
        who: str,
        answers: FilingView | None = None,
        notes: Sequence[str] = (),
    ) -> PreparedMail:
        if not draft.recipients:
            why = f" ({notes[-1]})" if notes else ""
            raise PermanentError(f"it would go to nobody{why}", advice="Give at least one address with --to.")
        _refuse_if_too_large(account, sends, draft)
        raw = written(draft)
        outgoing = Outgoing(
            mail=parse(BytesSource(raw), received_at=draft.date),
            digest=hashlib.sha256(raw).digest(),
            account=account.name,
            user=answers.user if answers else None,
            answers=answers.id if answers else None,
        )
        delivery = Delivery(
            forwarder=account.kind,
            account=account.name,
            to=draft.recipients,
            mode="as is",
            cause=f"person:{who}",
            message_id=draft.message_id,
        )
        return PreparedMail(
            viewer=viewer,
            outgoing=outgoing,
            planned=(PlannedDelivery(delivery=delivery, sender=str(draft.sender), envelope=sends.sender.email),),
            size=len(raw),
            checks=sending_rules.checks(account, sends, draft, len(raw)),
            notes=tuple(notes),
        )

    # --- whom an answer goes to -------------------------------------------------------------------------------------

    def _answered(
        self, filing: FilingView, mail: Mail, *, to_all: bool
    ) -> tuple[tuple[Address, ...], tuple[Address, ...], list[str]]:
        """Return an answer's To and Cc, and notes about recipients that are not those of the mail."""
        ours = filing.direction == "out"
        notes = list[str]()
        first = mail.to if ours else _reply_to(mail, self._own(filing.operator, personal=False), notes) or mail.from_
        to = tuple(_usable(first, frozenset(), notes))
        if not to_all:
            return to, (), notes
        own = self._own(filing.operator)
        more = [] if ours else _usable(mail.to, own, notes)
        return _distinct((*to, *more)), tuple(_usable(mail.cc, own, notes)), notes

    def _own(self, operator: str, *, personal: bool = True) -> frozenset[str]:
        """Return the keys of the addresses of the operator's own accounts; ``personal`` includes those of its users.

        An answer to all goes to none of them. A single answer may go to a colleague, but not to a shared mailbox.
        """
        found = set()
        for account in self.accounts.values():
            if operator not in account.operators or (account.user and not personal):
                continue
            if account.sends:
                found.add(account.sends.sender.email)
            if "@" in (name := _log_in_name(account)):
                found.add(name)
            if user := self._user(operator, account.user):
                found.add(user.email)
        return frozenset(map(compared, found))

    def _answerer(self, filing: FilingView) -> Address | None:
        """Return whose answers a user's mail wants: they go to the user, and not into the shared mailbox (promise P6)."""
        if filing.user is None:
            return None
        user = self._user(filing.operator, filing.user)
        if user is None:
            raise PermanentError(
                f"operators/{filing.operator}.yaml does not say who {filing.user} is, who must get the answers to this mail",
                advice="Mend it; `gatewayd check` shows what is faulty.",
            )
        return Address(name=user.name, email=user.email)

    def _user(self, operator: str, name: str | None) -> UserConfig | None:
        """Return a user; None also if the operator's file is faulty: then no user is known."""
        known = self.operators.get(operator)
        return known.users.get(name) if known and name else None


def _log_in_name(account: AccountConfig) -> str:
    """Return the name of the mailbox that an account opens, as far as its options say; empty if they don't."""
    if isinstance(account.options, Login):
        return account.options.username
    use = token_use(account.options)
    return use.user if use else ""


def _refuse_if_too_large(account: AccountConfig, sends: SendConfig, draft: Draft) -> None:
    """Refuse a draft that is too large before it is written: writing takes several times its size in memory."""
    least = len(draft.text) + len(draft.html) + sum(len(one.data) for one in draft.attachments)
    for refusal in sending_rules.refused([sending_rules.size_check(account, sends, least)]):
        raise refusal


def _reply_to(mail: Mail, shared: frozenset[str], notes: list[str]) -> tuple[Address, ...]:
    """Return the Reply-To of a mail, and note it if it is not the sender: anybody may write any address there.

    Our ``shared`` mailboxes are left out: web forms and some lists write them there, and nobody would get the answer.
    """
    # From the raw bytes: a name in a decoded header could pass for an address.
    head = mail.source.read(0, header_parsing.MAX_HEAD)
    fields, _ = header_parsing.split_head(head, 0, len(head), header_parsing.MAX_HEAD)
    found, _ = address_list(", ".join(value for name, value in fields if name == "reply-to"), _MOST)
    others = tuple(one for one in found if compared(one.email) not in shared)
    if len(others) < len(found):
        notes.append("Reply-To names a shared mailbox of our own, which gets no answer")
        found = others
    if found and mail.sender and not {compared(one.email) for one in found} & {compared(one.email) for one in mail.from_}:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        notes.append(f"it goes to {found[0].email}{more}, as Reply-To asks, and not to the sender, {mail.sender.email}")
    return found


def _distinct(people: Iterable[Address], but: Iterable[Address] = ()) -> tuple[Address, ...]:
    """Return each address once, at its first place, without those of ``but``."""
    taken = {one.key for one in but}
    found: dict[str, Address] = {}
    for one in people:
        if one.key not in taken:
            found.setdefault(one.key, one)
    return tuple(found.values())


def _usable(people: Iterable[Address], own: frozenset[str], notes: list[str]) -> list[Address]:
    """Return the addresses that can be written to and are not our own; what is no address is left out, and noted."""
    usable = []
    for one in people:
        try:
            # A name in somebody else's mail may be long, and have line breaks.
            found = strict(replace(one, name=" ".join(one.name[:LONGEST_NAME].split())))
        except PermanentError as error:
            notes.append(f"left out: {error.sentences}")
            continue
        if compared(found.email) not in own:
            usable.append(found)
    return usable
