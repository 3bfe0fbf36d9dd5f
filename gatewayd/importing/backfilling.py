"""Mail that is here is filed for further operators of its account, as backlog: from the raw bytes, and nothing is fetched."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from gatewayd.errors import PermanentError
from gatewayd.importing.fetching import contact_types
from gatewayd.importing.readmission import PAGE, sent_by
from gatewayd.importing.rematch import BATCH, Backfill, file_old
from gatewayd.matching import MatchRequest, RawMail
from gatewayd.message.mail import BytesSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gatewayd.api.ledger import Lease
    from gatewayd.config import AccountConfig, ImportConfig
    from gatewayd.importing.fetching import Onward
    from gatewayd.importing.readmission import Readmission, Rejudged
    from gatewayd.importing.values import VisitTools
    from gatewayd.matching import OperatorSpec

__all__ = ["Backfiller"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfiller:
    """Files what one account has, for the length of one visit. Both of its methods yield how many filings of a batch are new."""

    tools: VisitTools
    lease: Lease
    account: AccountConfig
    imports: ImportConfig
    specs: Sequence[OperatorSpec]
    onward: Onward
    #: Called every few seconds, and between two pages; raises where the visit is to end.
    tick: Callable[[], None]

    def old(self, operator: str) -> Iterator[int]:
        """File the account's old mail for an operator that was added later, on purpose (design section 8)."""
        spec = next((one for one in self.specs if one.operator.name == operator), None)
        if spec is None:
            advice = "Add it to the account's `operators` first."
            raise PermanentError(f"account {self.account.name} does not serve operator {operator!r}", advice=advice)
        yield from file_old(self._filer(spec))

    def admitted(self, readmission: Readmission) -> Iterator[int]:
        """File what operators admit by now of the mail that they refused and others did not.

        What can't be decided stays as it is. So does what is provisional: ``rematch.correct`` gives that again, with its
        rules.
        """
        for spec, wanted in readmission.wants():
            filer = self._filer(spec)
            for senders in self._admitted(spec, wanted, readmission):
                yield from self._filed(filer, senders, readmission)

    def _filer(self, spec: OperatorSpec) -> Backfill:
        return Backfill(
            store=self.tools.store,
            matching=self.tools.matching,
            spec=spec,
            lease=self.lease,
            imports=self.imports,
            owner=self.account.user,
            onward=self.onward,
            tick=self.tick,
        )

    def _admitted(self, spec: OperatorSpec, wanted: Rejudged, readmission: Readmission) -> Iterator[Sequence[str] | None]:
        """Yield the senders whom the operator admits now, page by page; None is whoever it may be."""
        if not self.imports.contact_types:
            yield None
            return
        types = contact_types(self.imports)
        for page in self._senders(spec.operator.name, wanted):
            raw_mails = tuple(RawMail(number, BytesSource(b""), view=sent_by(number, [one])) for number, one in enumerate(page))
            request = MatchRequest(raw_mails=raw_mails, specs=(spec,), contact_types=types, admit_only=True)
            (found,) = self.tools.matching.begin(request).result(self.tick).results
            if found.pending:
                readmission.leave_open(spec.operator.name)
            left = found.refused | found.pending
            if admitted := [one for number, one in enumerate(page) if number not in left]:
                yield admitted
            self.tick()

    def _senders(self, operator: str, wanted: Rejudged) -> Iterator[Sequence[str]]:
        """Yield pages of those who sent what the operator refused, and are to be judged again."""
        read = partial(self.tools.store.refused_senders, self.account.name, operator, limit=PAGE)
        if not wanted.every:
            changed = sorted(wanted.senders)
            yield from filter(None, (read(among=changed[start : start + PAGE]) for start in range(0, len(changed), PAGE)))
            return
        after = ""
        while page := read(after=after):
            after = page[-1]
            yield page

    def _filed(self, filer: Backfill, senders: Sequence[str] | None, readmission: Readmission) -> Iterator[int]:
        store, name, after = self.tools.store, filer.spec.operator.name, 0
        while page := store.refused_mails(self.account.name, name, senders=senders, after=after, limit=PAGE):
            after = page[-1]
            doubted = store.doubted(name, page)
            final = [one for one in page if one not in doubted]
            if doubted:
                readmission.leave_open(name)
            for start in range(0, len(final), BATCH):
                new, undecided = filer.file(final[start : start + BATCH], admitted=True)
                if undecided:
                    readmission.leave_open(name)
                yield new
            self.tick()
