"""Open, search, explain, retry and send mail for people, by `Desk`.

Each method takes the viewer who asks, and shows nothing that this viewer may not see (promise P6).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewayd.api.queries import Query
from gatewayd.desk.sending_rules import refused
from gatewayd.desk.values import Explained, SentMail
from gatewayd.errors import PermanentError, TransientError
from gatewayd.importing.outcomes import filings
from gatewayd.importing.rematch import retry, retry_put_off
from gatewayd.matching import DirectoryQuestion, MatchRequest, RawMail
from gatewayd.message.mail import file_of, parse
from gatewayd.registry.guarded_directory import DirectoryFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from gatewayd.api.queries import FilingView, Viewer
    from gatewayd.api.store import Store
    from gatewayd.api.values import Kind, Record
    from gatewayd.desk.values import PreparedMail
    from gatewayd.matching import DirectoryAnswers, OperatorSpec
    from gatewayd.message.mail import Mail
    from gatewayd.message.values import Attachment, Source
    from gatewayd.outgoing.routing import Router

__all__ = ["Desk"]

#: In place of the account of a mail that came by none; no account has this name.
_NO_ACCOUNT = "no account"
#: The id of a mail that is explained, in its request.
_ID = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The desk of one process."""

    store: Store
    #: Calls matchers and directories; made when it is first asked for.
    matching: Callable[[], DirectoryAnswers]
    #: The operators' specs, by name.
    specs: Mapping[str, OperatorSpec]
    #: The operators that have users, and so personal mail.
    with_users: Collection[str] = ()
    #: Applies the forward rules. Made when it is first needed: its key may be missing, and reading mail does not need it.
    router: Callable[[], Router | None] = lambda: None

    def list(self, viewer: Viewer, query: Query) -> Sequence[FilingView]:
        """Return filings, newest first."""
        return self.store.filings(viewer, query)

    def get(self, viewer: Viewer, mail_id: int) -> FilingView:
        """Return one filing; raises PermanentError where this viewer has none of that id."""
        found = self.store.filings(viewer, Query(ids=(mail_id,)))
        if not found:
            raise self._no_mail(viewer, mail_id)
        return found[0]

    def mail(self, viewer: Viewer, mail_id: int) -> Mail:
        """Return the view of a stored mail, parsed again from its raw bytes."""
        source = self.source(viewer, mail_id)
        return parse(source, mail_id=mail_id, received_at=self.get(viewer, mail_id).received_at)

    def files(self, filing: FilingView, mail: Mail) -> tuple[Attachment, ...]:
        """Return all files of a mail: its attachments as they were listed when it was filed, then the other files in it."""
        listed = {(one.part.within, one.part.offset) for one in filing.attachments}
        more = (one for one in (*mail.attachments, *mail.inline) if (one.part.within, one.part.offset) not in listed)
        return (*filing.attachments, *more)

    def attachment(self, viewer: Viewer, mail_id: int, number: int) -> Iterator[bytes]:
        """Yield the decoded bytes of the file ``number`` of those that ``files`` lists, counted from 1."""
        mail = self.mail(viewer, mail_id)
        files = self.files(self.get(viewer, mail_id), mail)
        if not 1 <= number <= len(files):
            have = f"it has {len(files)}" if files else "it has none"
            raise PermanentError(f"mail {mail_id} has no attachment {number}: {have}")
        return file_of(mail.source, files[number - 1].part)

    def link(self, viewer: Viewer, mail_id: int, kind: Kind, ids: Sequence[str], *, who: str) -> int:
        """Link records of the directory to a filing by hand; return how many links are new."""
        self.get(viewer, mail_id)
        found = self._asked(viewer.operator, DirectoryQuestion(kind=kind, field="id", values=tuple(ids)))
        missing = [one for one in ids if not found.get(one)]
        if missing:
            advice = f"Search it: gatewayd directory find {kind} WORD"
            raise PermanentError(f"the directory of {viewer.operator} has no {kind} {', '.join(missing)}", advice=advice)
        records = [found[one][0] for one in ids]
        return self.store.link(viewer, mail_id, records, who=who, because="linked by hand")

    def unlink(self, viewer: Viewer, mail_id: int, kind: Kind, ids: Sequence[str], *, who: str) -> int:
        """Remove links for good; return how many there were."""
        self.get(viewer, mail_id)
        return self.store.unlink(viewer, mail_id, [(kind, one) for one in ids], who=who)

    def search(self, operator: str, kind: Kind, text: str, *, limit: int) -> Sequence[Record]:
        """Return records of an operator's directory with every word of ``text``, best first."""
        return self._asked(operator, DirectoryQuestion(kind=kind, words=text, limit=limit))[text]

    def _asked(self, operator: str, question: DirectoryQuestion) -> Mapping[str, Sequence[Record]]:
        try:
            return self.matching().ask(self.specs[operator], question)
        except DirectoryFailed as error:
            advice = "`gatewayd check` says what is wrong with it."
            raise TransientError(f"the directory of {operator} can't answer: {error}", advice=advice) from error

    def explain(self, operator: str, source: Source, *, account: str = _NO_ACCOUNT, queue: str = "") -> Explained:
        """Return the findings of every matcher and forward rule of an operator on a message, as if it were new mail, and why.

        It is explained as if it came by ``account``, whose error queue is ``queue``. Nothing is stored. Raises what
        ``MatchRun.result`` raises.
        """
        matching, router, spec = self.matching(), self.router(), self.specs[operator]
        matching.refresh(spec)
        request = MatchRequest(raw_mails=(RawMail(_ID, source),), specs=(spec,), explain=True)
        matched = matching.begin(request).result(lambda: None)
        (mail,), (found,) = matched.mails, matched.results
        (filing,) = filings([mail], [found], user=None, queue=queue)[mail.id]
        ids = {one.message_id for _, one in filing.follows}
        return Explained(
            mail=mail,
            findings=found,
            ours={one for one in ids if router and router.wrote(one)},
            rulings=router.explain(spec.operator.name, account, mail, filing) if router else (),
        )

    def source(self, viewer: Viewer, mail_id: int) -> Source:
        """Return where the raw bytes of a mail can be read."""
        source = self.store.source(viewer, mail_id)
        if source is None:
            raise self._no_mail(viewer, mail_id)
        return source

    def _no_mail(self, viewer: Viewer, mail_id: int) -> PermanentError:
        personal = "; a user's personal mail needs --user USER" if viewer.operator in self.with_users else ""
        return PermanentError(f"operator {viewer.operator} has no mail {mail_id}", advice=f"See `gatewayd mail list`{personal}.")

    # --- what goes out ----------------------------------------------------------------------------------------------

    def send(self, prepared: PreparedMail) -> SentMail:
        """Commit a mail that a ``Writer`` or ``Forwarding`` prepared: from then on the outbox delivers it.

        Raises PermanentError for the first rule that refuses it.
        """
        for refusal in refused(prepared.checks):
            raise refusal
        deliveries = [one.delivery for one in prepared.planned]
        if prepared.outgoing:
            posted = self.store.post(prepared.viewer, prepared.outgoing, deliveries[0])
            return SentMail(mail_id=posted.mail_id, delivery_ids=(posted.delivery_id,))
        mail_id = prepared.mail_id or 0
        return SentMail(mail_id=mail_id, delivery_ids=tuple(self.store.deliver(prepared.viewer, mail_id, deliveries)))

    # --- the error queue --------------------------------------------------------------------------------------------

    def retry(
        self, viewer: Viewer, mail_ids: Collection[int] | None, queue: str | None = None, *, forward: bool = False
    ) -> Iterator[Sequence[FilingView]]:
        """Match the filings in the error queue again, all or these ids; yield each batch as it is afterwards.

        Filings that keep a fault stay in the queue. Links made by hand stay. Nothing is fetched again, and rules send mail on
        only with ``forward``. Filings for which no time was left are in a further batch.
        """
        spec = self.specs[viewer.operator]
        query = Query(ids=None if mail_ids is None else tuple(mail_ids), queue=queue)
        matching, router = self.matching(), self.router()
        yield from retry(self.store, matching, spec, viewer, query, router=router, fire=forward)
        yield from retry_put_off(self.store, matching, spec, viewer, query, router=router, fire=forward)
