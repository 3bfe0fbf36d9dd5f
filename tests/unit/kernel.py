"""What the tests of the kernel's rooms share: plugins made of a few words, and a whole gateway without a network."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatewayd import Directory, Folders, Held, Link, Listing, Matcher, Operator, Query, Viewer
from gatewayd.api.health import Task
from gatewayd.config import AccountConfig, ImportConfig, LimitsConfig
from gatewayd.desk import Desk
from gatewayd.importing.values import VisitTools
from gatewayd.importing.visit import visit
from gatewayd.matching import LocalMatching, MatchRequest, OperatorSpec, RawMail
from gatewayd.message.mail import BytesSource
from gatewayd.registry.loading import Registry
from gatewayd.runtime.events import Events
from gatewayd.runtime.instance import Instance
from gatewayd.testing import FakeDirectory, FakeTransport, make_record
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from gatewayd import Audit, Contact, FilingView, Finding, Kind, Mail, Record, State
    from gatewayd.api.roles import Plugin
    from gatewayd.importing.daily_quota import DailyQuota
    from gatewayd.importing.values import Progress, VisitReport
    from gatewayd.matching import ContactTypes, OperatorResult
    from gatewayd.outgoing.routing import Router

BOOKING = make_record("reservation", "R9", code="B-756", title="Rome")
NORD = make_record("customer", "C1", "Nord GmbH")
#: What every directory of these tests finds by ``search``, whatever else it knows or fails at: a matcher links what it was given.
SHELF = (BOOKING, NORD, make_record("product", "1"), make_record("product", "2"))


def matcher(name: str, match: Callable[[Sequence[Mail], Directory], Iterable[Finding]]) -> type[Matcher]:
    """A matcher of one function."""

    class Made(Matcher):
        kind = name

        def match(self, mails: Sequence[Mail], directory: Directory) -> Iterable[Finding]:
            return match(mails, directory)

    return Made


def match_request(
    spec: OperatorSpec,
    mails: Iterable[Mail],
    *,
    contact_types: ContactTypes = (),
    admitted: Collection[int] = (),
    explain: bool = False,
) -> MatchRequest:
    """A request for one operator with mails that are parsed; a person has admitted those with these ids."""
    name = spec.operator.name
    raw_mails = [RawMail(mail.id, BytesSource(b""), view=mail, admitted=(name,) if mail.id in admitted else ()) for mail in mails]
    return MatchRequest(raw_mails=tuple(raw_mails), specs=(spec,), contact_types=contact_types, explain=explain)


def match_with(matching: LocalMatching, request: MatchRequest) -> OperatorResult:
    """Match the batch of a request for one operator."""
    return matching.operator(request.specs[0]).match_all(request, [one.parsed() for one in request.raw_mails])


def shelf(directory: Directory, record: Record) -> Record:
    """One of ``SHELF``, as the directory gives it."""
    return next(one for one in directory.search(record.kind, record.id) if one.id == record.id)


def links_all(mails: Sequence[Mail], directory: Directory) -> Iterable[Finding]:
    record = shelf(directory, BOOKING)
    return [Link(mail.id, record, "it links all") for mail in mails]


def directory(
    records: Iterable[Record] = (), contacts: Iterable[Contact] = (), base: type[FakeDirectory] = FakeDirectory
) -> type[Directory]:
    """A directory of the kind ``known`` with these records."""

    class Made(base):  # type: ignore[misc, valid-type]
        kind = "known"

        def __init__(self, _options: Directory.Options, *, operator: Operator, place: Folders) -> None:
            super().__init__(records, contacts)
            self.operator, self.place = operator, place

        def search(self, kind: Kind, text: str, *, limit: int = 20) -> Sequence[Record]:
            found: Sequence[Record] = super().search(kind, text, limit=limit)
            return found or tuple(one for one in SHELF if (one.kind, one.id) == (kind, text))

    return Made


def limited(**limits: Any) -> LimitsConfig:
    """Limits with these values, also such as no config may have: tests want small ones."""
    return LimitsConfig.model_construct(**limits)


def registry(*classes: type[Plugin]) -> Registry:
    roles = {Matcher: "matchers", Directory: "directories"}
    offered = {(roles[role], one.kind): one for one in classes for role in roles if issubclass(one, role)}
    return Registry(plugins=(), _classes={("directories", "shelf"): _SHELF, **offered})


def spec(name: str = "acme", *matchers: str, known: bool = False, faulty: bool = False, bare: bool = False) -> OperatorSpec:
    """An operator with these matchers, and the directory ``known``, or ``shelf``, or none where it is ``bare``."""
    return OperatorSpec(
        operator=Operator(name=name),
        directory=None if bare else ("known" if known else "shelf", Directory.Options()),
        matchers=tuple((one, Matcher.Options()) for one in matchers),
        place=Folders(config=Path(), state=Path()),
        faulty=faulty,
    )


_SHELF = directory()


class Gateway:
    """One account on a transport in memory, a real store in a folder, and visits."""

    def __init__(
        self,
        folder: Path,
        transport: FakeTransport | None = None,
        *,
        imports: ImportConfig | None = None,
        plugins: Sequence[type[Plugin]] = (),
        specs: Sequence[OperatorSpec] = (),
        user: str | None = None,
        limits: LimitsConfig | None = None,
        allowance: DailyQuota | None = None,
    ) -> None:
        self._stack = ExitStack()
        self.folder = folder
        self.transport = transport or FakeTransport(account="main")
        self.imports = imports or ImportConfig.model_construct(folders=tuple(self.transport.folders))
        self.specs = specs or (spec(),)
        self.user = user
        self.limits = limits or limited(batch_messages=3)
        self.allowance = allowance
        self.owner = self._stack.enter_context(Instance(folder))
        self.store = self.another_store()
        self.matching = LocalMatching(registry(*plugins))
        self._stack.callback(self.matching.close)
        self.thread = self._stack.enter_context(ThreadPoolExecutor(1))
        self.progress: Callable[[Progress], None] = lambda _: None
        self.router: Router | None = None
        self.stopping: Callable[[], bool] = lambda: False
        self.gives_way: Callable[[], bool] = lambda: False
        self.events = Events()
        #: What each visit is asked to do besides.
        self.task = Task()
        self.desk = Desk(store=self.store, matching=lambda: self.matching, specs={one.operator.name: one for one in self.specs})

    def another_store(self, url: str | None = None) -> Sql:
        """The same store, as another process opens it."""
        store = Sql(SqlOptions(url=url), place=Folders(config=self.folder, state=self.folder))
        store.open()
        self._stack.callback(store.close)
        return store

    def try_visit(
        self,
        *,
        from_beginning: bool = False,
        compare: bool = False,
        keys: Collection[str] | None = None,
        patience: float = 10,
    ) -> VisitReport | Held:
        account = AccountConfig(
            name="main",
            kind="fake",
            operators=tuple(one.operator.name for one in self.specs),
            user=self.user,
            options=self.transport.options,
            imports=self.imports,
        )
        tools = VisitTools(
            store=self.store,
            matching=self.matching,
            instance=self.owner,
            router=self.router,
            fetcher=self.thread,
            limits=self.limits,
            quota=self.allowance,
            progress=self.progress,
            patience=patience,
            stopping=self.stopping,
            gives_way=self.gives_way,
            events=self.events,
        )
        task = replace(self.task, from_beginning=from_beginning, compare=compare, keys=tuple(keys or ()))
        return visit(account, self.transport, self.specs, tools, task)

    def visit(
        self,
        *,
        from_beginning: bool = False,
        compare: bool = False,
        keys: Collection[str] | None = None,
        patience: float = 10,
    ) -> VisitReport:
        """One visit, which must get the lease, and must leave no session, spool or lease behind."""
        report = self.try_visit(from_beginning=from_beginning, compare=compare, keys=keys, patience=patience)
        assert not isinstance(report, Held), report
        assert self.transport.sessions == 0
        assert self.spools() == []
        return report

    def good(self, *, from_beginning: bool = False, compare: bool = False, keys: Collection[str] | None = None) -> VisitReport:
        """One visit that must succeed."""
        report = self.visit(from_beginning=from_beginning, compare=compare, keys=keys)
        assert (report.error, report.problems) == (None, ())
        return report

    def pass_time(self) -> None:
        """Let all that is to be fetched once more be due."""
        lease = self.store.take_lease("main", "time", dead=lambda _: False)
        assert not isinstance(lease, Held), lease
        every = [one for folder in self.imports.folders for one in self.store.rereads("main", folder, limit=1000)]
        self.store.reread(lease, proven={}, later={one.entry_id: -1.0 for one in every}, undone=())
        self.store.release(lease)

    def spools(self) -> list[str]:
        return [path.name for path in self.folder.glob("owners/*/*.spool")]

    def states(self, folder: str = "INBOX") -> Mapping[str, State]:
        """States of all keys that were ever listed in a folder."""
        known = self.store.known("main", folder, [key for name, key in self.transport.listed if name == folder])
        return {key: was.state for key, was in known.items()}

    def audit(self, folder: str = "INBOX") -> Audit:
        """What an audit says of a folder, by a listing of now."""
        with closing(self.transport.open()) as session:
            pages = list(session.listing(folder, None))
        exists = next((page.exists for page in reversed(pages) if page.exists is not None), None)
        doubts = tuple(text for page in pages for text in page.doubts)
        listing = Listing(keys=tuple(one for page in pages for one in page.keys), exists=exists, doubts=doubts)
        return next(one for one in self.store.audit("main", {folder: listing}) if one.folder == folder)

    def filings(self, operator: str = "acme", *users: str) -> Sequence[FilingView]:
        return self.store.filings(Viewer(operator=operator, users=users), Query(limit=10_000))

    def close(self) -> None:
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
