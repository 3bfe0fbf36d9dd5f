"""What people do: list, open, link, read, retry. The command line calls it, and later the page for people.

Every verb takes the viewer who asks, and answers about nothing that this viewer may not see (promise P6).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gatewayd.batch import contact_types, filings
from gatewayd.errors import PermanentError, TransientError
from gatewayd.examine import Job
from gatewayd.guard import DirectoryFailed
from gatewayd.mail import parse
from gatewayd.views import Query

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from gatewayd.config import ImportConfig
    from gatewayd.custody import Lease
    from gatewayd.examine import Examiner, Findings, Recipe
    from gatewayd.mail import Mail
    from gatewayd.model import Kind, Record, Source
    from gatewayd.roles import Directory
    from gatewayd.store import Store
    from gatewayd.views import FilingView, Viewer

__all__ = ["Desk"]

#: How many stored mails are examined at once.
_BATCH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The desk of one process."""

    store: Store
    examiner: Examiner
    #: The operators' recipes, by name.
    recipes: Mapping[str, Recipe]
    #: The operators that have users, and with them personal mail.
    with_users: Collection[str] = ()

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

    def attachment(self, viewer: Viewer, mail_id: int, number: int) -> Iterator[bytes]:
        """Yield the decoded bytes of the attachment ``number``, counted from 1."""
        mail = self.mail(viewer, mail_id)
        if not 1 <= number <= len(mail.attachments):
            have = f"it has {len(mail.attachments)}" if mail.attachments else "it has none"
            raise PermanentError(f"mail {mail_id} has no attachment {number}: {have}")
        return mail.attachment(number - 1)

    def link(self, viewer: Viewer, mail_id: int, kind: Kind, ids: Sequence[str], *, who: str) -> int:
        """Link records of the directory to a filing by hand; return how many links are new."""
        self.get(viewer, mail_id)
        with self._directory(viewer.operator) as directory:
            found = directory.find(kind, "id", ids)
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
        with self._directory(operator) as directory:
            return directory.search(kind, text, limit=limit)

    @contextmanager
    def _directory(self, operator: str) -> Iterator[Directory]:
        recipe = self.recipes[operator]
        self.examiner.refresh(recipe)
        try:
            yield self.examiner.directory(recipe)
        except DirectoryFailed as error:
            advice = "`gatewayd check` says what is wrong with it."
            raise TransientError(f"the directory of {operator} can't answer: {error}", advice=advice) from error

    def explain(self, operator: str, source: Source, *, mail_id: int = 0) -> tuple[Mail, Findings]:
        """Return what every matcher of the operator says of a message, and why."""
        recipe = self.recipes[operator]
        self.examiner.refresh(recipe)
        mail = parse(source, mail_id=mail_id)
        return mail, self.examiner.examine(Job(recipe=recipe, mails=(mail,)))

    def source(self, viewer: Viewer, mail_id: int) -> Source:
        """Return where the raw bytes of a mail can be read."""
        source = self.store.source(viewer, mail_id)
        if source is None:
            raise self._no_mail(viewer, mail_id)
        return source

    def _no_mail(self, viewer: Viewer, mail_id: int) -> PermanentError:
        personal = "; a user's personal mail needs --user USER" if viewer.operator in self.with_users else ""
        return PermanentError(f"operator {viewer.operator} has no mail {mail_id}", advice=f"See `gatewayd mail list`{personal}.")

    # --- the error queue --------------------------------------------------------------------------------------------

    def retry(self, viewer: Viewer, mail_ids: Collection[int] | None, queue: str | None = None) -> Iterator[Sequence[FilingView]]:
        """Match what stands in the error queue again, all or these ids; yield each batch as it stands then.

        What keeps its fault stays in the queue. Links made by hand stay. Nothing is fetched or forwarded again.
        """
        recipe = self.recipes[viewer.operator]
        self.examiner.refresh(recipe)
        before: int | None = None
        wanted = None if mail_ids is None else tuple(mail_ids)
        while batch := self.store.filings(viewer, Query(ids=wanted, faulty=True, queue=queue, before=before, limit=_BATCH)):
            before = batch[-1].id
            self._rematch(viewer, recipe, batch)
            yield self.store.filings(viewer, Query(ids=tuple(one.id for one in batch), limit=_BATCH))

    def _rematch(self, viewer: Viewer, recipe: Recipe, batch: Sequence[FilingView]) -> None:
        mails = tuple(parse(self.source(viewer, one.id), mail_id=one.id, received_at=one.received_at) for one in batch)
        findings = self.examiner.examine(Job(recipe=recipe, mails=mails))
        filed = filings(mails, [findings], owner=None, queue="")
        done = [(one.id, replace(filed[one.id][0], owner=one.owner, queue=one.queue or "")) for one in batch]
        self.store.refile(viewer, done)

    # --- an operator that came later --------------------------------------------------------------------------------

    def file_old(self, lease: Lease, operator: str, *, imports: ImportConfig, owner: str | None) -> Iterator[int]:
        """File the account's old mail for an operator that was added later; yield how many of each batch were new."""
        recipe = self.recipes[operator]
        self.examiner.refresh(recipe)
        after = 0
        while ids := self.store.unfiled(lease.account, operator, after=after, limit=_BATCH):
            after = ids[-1]
            mails = [parse(self.store.stored_source(mail_id), mail_id=mail_id) for mail_id in ids]
            findings = self.examiner.examine(Job(recipe=recipe, mails=tuple(mails), contact_types=contact_types(imports)))
            if findings.undecided:
                raise TransientError(f"operator {operator}: {findings.undecided}")
            filed = filings(mails, [findings], owner=owner, queue=imports.error_queue)
            yield self.store.add_filings(lease, [(mail_id, filing) for mail_id in ids for filing in filed[mail_id]])
