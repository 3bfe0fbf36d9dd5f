"""What people do: list, open, link, read, retry, write, forward. The command line calls it, and later the page for people.

Every verb takes the viewer who asks, and answers about nothing that this viewer may not see (promise P6).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewayd.api.queries import Query
from gatewayd.desk.explain import NO_ACCOUNT, Explained, explained
from gatewayd.desk.forwarding import Forwarding
from gatewayd.desk.sending_rules import refused
from gatewayd.desk.values import NewMail, PlannedDelivery, PreparedMail, RuleCheck, SentMail
from gatewayd.desk.writing import Writer
from gatewayd.errors import PermanentError, TransientError
from gatewayd.importing.rematch import retry, retry_put_off
from gatewayd.matching import DirectoryQuestion
from gatewayd.message.mail import file_of, parse
from gatewayd.registry.guarded_directory import DirectoryFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from gatewayd.api.queries import FilingView, Viewer
    from gatewayd.api.store import Store
    from gatewayd.api.values import Kind, Record
    from gatewayd.matching import DirectoryAnswers, LocalMatching, OperatorSpec
    from gatewayd.message.mail import Mail
    from gatewayd.message.values import Attachment, Source
    from gatewayd.outgoing.routing import Router

__all__ = ["Desk", "Explained", "Forwarding", "NewMail", "PlannedDelivery", "PreparedMail", "RuleCheck", "SentMail", "Writer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The desk of one process."""

    store: Store
    local_matching: LocalMatching
    #: The operators' specs, by name.
    specs: Mapping[str, OperatorSpec]
    #: The operators that have users, and with them personal mail.
    with_users: Collection[str] = ()
    #: Calls matchers and directories in guards of its own, made when it is first asked for; None: ``local_matching`` does.
    guarded: Callable[[], DirectoryAnswers] | None = None
    #: By which mail goes on, made when it is asked for: its key may be missing, and that is no matter of reading mail.
    router: Callable[[], Router | None] = lambda: None

    @property
    def _matching(self) -> DirectoryAnswers:
        return self.guarded() if self.guarded else self.local_matching

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
        source = self.store.source(viewer, mail_id)
        if source is None:
            raise self._no_mail(viewer, mail_id)
        return parse(source, mail_id=mail_id, received_at=self.get(viewer, mail_id).received_at)

    def files(self, filing: FilingView, mail: Mail) -> tuple[Attachment, ...]:
        """Return all files of a mail: its attachments as they were listed when it was filed, then what else can be had of it."""
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
        """Take links away for good; return how many there were."""
        self.get(viewer, mail_id)
        return self.store.unlink(viewer, mail_id, [(kind, one) for one in ids], who=who)

    def search(self, operator: str, kind: Kind, text: str, *, limit: int) -> Sequence[Record]:
        """Return records of an operator's directory with every word of ``text``, best first."""
        return self._asked(operator, DirectoryQuestion(kind=kind, words=text, limit=limit))[text]

    def _asked(self, operator: str, question: DirectoryQuestion) -> Mapping[str, Sequence[Record]]:
        try:
            return self._matching.ask(self.specs[operator], question)
        except DirectoryFailed as error:
            advice = "`gatewayd check` says what is wrong with it."
            raise TransientError(f"the directory of {operator} can't answer: {error}", advice=advice) from error

    def explain(self, operator: str, source: Source, *, account: str = NO_ACCOUNT, queue: str = "") -> Explained:
        """Return what every matcher and forward rule of the operator says of a message that came by ``account``, and why."""
        spec = self.specs[operator]
        return explained(self._matching, spec, source, router=self.router(), account=account, queue=queue)

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
        """Commit what a ``Writer`` or ``Forwarding`` prepared: from then on it is the outbox's.

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
        """Match what stands in the error queue again, all or these ids; yield each batch as it stands then.

        What keeps its fault stays in the queue. Links made by hand stay. Nothing is fetched again, and rules send on what
        they fit now only with ``forward``. What no time was left for is in a further batch.
        """
        spec = self.specs[viewer.operator]
        query = Query(ids=None if mail_ids is None else tuple(mail_ids), queue=queue)
        matching, router = self._matching, self.router()
        yield from retry(self.store, matching, spec, viewer, query, router=router, fire=forward)
        yield from retry_put_off(self.store, matching, spec, viewer, query, router=router, fire=forward)
