"""Mail that one operator refused and another did not is judged again for the first, and filed from what is here, as backlog."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gatewayd import Contents, Forwarder, Lease, Origin, TransientError
from gatewayd.api.health import Task
from gatewayd.config import AccountConfig, ImportConfig
from gatewayd.importing.backfilling import Backfill, file_old
from gatewayd.importing.outcomes import AccountRouting
from gatewayd.importing.rematch import correct
from gatewayd.matching import Matching, MatchRun, OperatorResult
from gatewayd.matching.operator_matching import OperatorMatching
from gatewayd.outgoing.routing import Router
from gatewayd.runtime.events import Events
from gatewayd.testing import FakeTransport
from gatewayd.testing.contracts.custodian import make_raw
from tests.unit.heard import events
from tests.unit.importing.test_readmission import SALES, Records, deliver, known, look
from tests.unit.kernel import Gateway, directory, links_all, matcher, spec
from tests.unit.outgoing.test_routing import SIGNER, config, nothing, rule

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from gatewayd import Contact, Directory
    from gatewayd.api.directory import Basis
    from gatewayd.api.events import MailFiled
    from gatewayd.api.ledger import Filed
    from gatewayd.config import Config
    from gatewayd.matching import LocalMatching, MatchRequest, MatchResult, OperatorSpec

ACME, GLOBEX = spec("acme", "calm", known=True), spec("globex", "calm", known=True)


class Shared:
    """A mailbox of two operators. ``acme`` knows everybody; what ``globex`` knows, a test changes."""

    def __init__(self, gateway: Gateway, globex: Records) -> None:
        self.gateway = gateway
        self.globex = globex

    def turn(self, *emails: str, told: bool = True) -> None:
        """Let ``globex`` have other contacts from now on."""
        self.globex.turn(*emails, told=told)
        look(self.gateway)

    def filed(self, operator: str = "globex", *users: str) -> list[str]:
        """Who sent what is filed for an operator, the newest first."""
        return [one.sender for one in self.gateway.filings(operator, *users)]

    def refused(self) -> list[str]:
        return list(self.gateway.store.refused_senders("main", "globex", limit=99))

    def fetched(self) -> int:
        return len(self.gateway.transport.steps("message"))

    def sent(self) -> list[str]:
        """The operators of which something goes on by a rule."""
        taken = self.gateway.store.take("account out", "me", limit=99, dead=lambda _: True)
        self.gateway.store.give_back("me", [one.id for one in taken])
        return sorted(one.operator for one in taken)


def both(globex: Records) -> type[Directory]:
    everybody = Records(*(f"{name}@x.example" for name in "abcd"))

    class Both(known(everybody)):  # type: ignore[misc]
        def _known(self) -> Any:
            return known(globex)() if self.operator.name == "globex" else known(everybody)()

        def contents(self) -> Contents:
            return self._known().contents()  # type: ignore[no-any-return]

        def changed(self, version: str) -> Collection[str] | None:
            return self._known().changed(version)  # type: ignore[no-any-return]

        def contacts(self, emails: Collection[str]) -> Mapping[str, Sequence[Contact]]:
            return self._known().contacts(emails)  # type: ignore[no-any-return]

    return directory(base=Both)


def ruled(*operators: str) -> Config:
    """A config in which all mail of these operators goes on."""
    one = config(rule(1, "duty")).operators["acme"]
    return replace(config(), operators={name: replace(one, name=name) for name in operators})


@contextmanager
def shared(tmp_path: Path, *emails: str, user: str | None = None, **imports: Any) -> Iterator[Shared]:
    globex = Records(*emails)
    chosen = ImportConfig(folders=("INBOX",), **{"contact_types": SALES, **imports})
    plugins = [both(globex), matcher("calm", links_all)]
    transport = FakeTransport(account="main")
    with Gateway(tmp_path, transport, imports=chosen, plugins=plugins, specs=[ACME, GLOBEX], user=user) as gateway:
        gateway.good()
        yield Shared(gateway, globex)


def test_what_is_admitted_by_now_is_filed_from_what_is_here_and_as_backlog(tmp_path: Path) -> None:
    with shared(tmp_path, "a@x.example") as one:
        one.gateway.router = Router(ruled("acme", "globex"), SIGNER, nothing)
        for number, name in enumerate(["a", "B", "c"], 1):
            deliver(one.gateway, number, f"{name}@x.example")
        one.gateway.good()
        assert (one.filed("acme"), one.filed()) == (["c@x.example", "B@x.example", "a@x.example"], ["a@x.example"])
        assert one.refused() == ["b@x.example", "c@x.example"]
        fetched, sent = one.fetched(), one.sent()
        assert sent == ["acme", "acme", "acme", "globex"]
        one.turn("a@x.example", "b@x.example")
        report = one.gateway.good()
        assert (report.tally.filed, report.tally.not_admitted, report.listed) == (1, 0, 0)
        assert one.filed() == ["B@x.example", "a@x.example"]
        assert [[link.id for link in each.links] for each in one.gateway.filings("globex")] == [["R9"]] * 2, "it is matched"
        assert one.refused() == ["c@x.example"]
        assert (one.fetched(), one.sent()) == (fetched, sent), "nothing is fetched, and no rule fires"
        assert one.gateway.audit().proven
        assert len(one.filed("acme")) == 3
        # Nothing is left to do.
        assert one.gateway.good().tally.filed == 0


def test_only_senders_whose_records_changed_are_judged_again(tmp_path: Path) -> None:
    with shared(tmp_path) as one:
        for number, name in enumerate("abcab", 1):
            deliver(one.gateway, number, f"{name}@x.example")
        one.gateway.good()
        one.gateway.good()
        one.globex.asked.clear()
        for _ in range(2):
            look(one.gateway)
            one.gateway.good()
        assert one.globex.asked == [], "nothing changed"
        one.turn("b@x.example", "z@x.example")
        assert one.gateway.good().tally.filed == 2
        assert one.globex.asked == [{"b@x.example"}]
        # Where it is not known whose records changed, all are; and each sender once, however many mails are of them.
        one.globex.asked.clear()
        one.turn("b@x.example", "c@x.example", told=False)
        assert one.gateway.good().tally.filed == 1
        assert one.globex.asked == [{"a@x.example", "c@x.example"}]


def test_from_the_beginning_and_by_other_contact_types_all_are_judged_and_without_any_all_is_filed(tmp_path: Path) -> None:
    with shared(tmp_path) as one:
        for number, name in enumerate("abc", 1):
            deliver(one.gateway, number, f"{name}@x.example")
        # From nobody: only without contact types it is anybody's.
        one.gateway.transport.deliver(make_raw(9).replace(b"From: anna@example.com\r\n", b""))
        one.gateway.good()
        one.gateway.good()
        one.globex.emails.append("a@x.example")
        assert one.gateway.good().tally.filed == 0, "it does not say that its records changed"
        assert one.gateway.good(from_beginning=True).tally.filed == 1
        one.globex.emails.append("b@x.example")
        one.gateway.imports = one.gateway.imports.model_copy(update={"contact_types": {"customer": ("sales", "other")}})
        assert one.gateway.good().tally.filed == 1
        one.gateway.imports = one.gateway.imports.model_copy(update={"contact_types": {}})
        assert one.gateway.good().tally.filed == 2, "and the one that neither admitted"
        assert len(one.filed()) == 4


def test_a_directory_at_fault_leaves_it_as_it_is(tmp_path: Path) -> None:
    with shared(tmp_path) as one:
        deliver(one.gateway, 1, "a@x.example")
        one.gateway.good()
        one.gateway.good()
        one.globex.down = True
        one.turn("a@x.example")
        assert one.gateway.good().tally.filed == 0
        one.globex.down, one.globex.outdated = False, "it is gone"
        look(one.gateway)
        assert one.gateway.good(from_beginning=True).tally.filed == 0
        assert one.refused() == ["a@x.example"]
        one.globex.outdated = ""
        look(one.gateway)
        assert one.gateway.good().tally.filed == 1


def test_observers_hear_of_each_filing_once_by_whichever_way_stored_mail_comes_to_a_further_operator(tmp_path: Path) -> None:
    heard: list[tuple[str, str, bool, bool]] = []

    def filed(_account: str, _folder: str, mails: Sequence[Filed]) -> None:
        heard.extend((one.key, each.operator, False, one.backlog) for one in mails for each in one.filings)

    def added(mails: Sequence[MailFiled]) -> None:
        heard.extend((one.key, each.operator, True, one.backlog) for one in mails for each in one.filings)

    with shared(tmp_path) as one:
        one.gateway.events = events(mails_filed=filed, filings_added=added)
        one.gateway.specs = (ACME,)
        deliver(one.gateway, 1, "a@x.example")
        one.gateway.good()
        one.gateway.specs = (ACME, GLOBEX)
        deliver(one.gateway, 2, "b@x.example")
        one.gateway.good()
        first, second = (each[0] for each in heard)
        assert heard == [(first, "acme", False, False), (second, "acme", False, False)]
        # What it refused, by newer records.
        one.turn("a@x.example", "b@x.example")
        one.gateway.good()
        assert heard[2:] == [(second, "globex", True, True)]
        # What came before it was added, on purpose.
        one.gateway.task = Task(from_beginning=True, operator="globex")
        for _ in range(2):
            one.gateway.good()
        assert heard[3:] == [(first, "globex", True, True)]
        assert len(one.filed()) == 2


def test_P6_mail_from_before_an_operator_was_added_is_not_handed_to_it(tmp_path: Path) -> None:
    with shared(tmp_path) as one:
        one.gateway.specs = (ACME,)
        deliver(one.gateway, 1, "a@x.example")
        one.gateway.good()
        one.gateway.specs = (ACME, GLOBEX)
        deliver(one.gateway, 2, "b@x.example")
        one.gateway.good()
        one.turn("a@x.example", "b@x.example", told=False)
        assert one.gateway.good(from_beginning=True).tally.filed == 1
        assert one.filed() == ["b@x.example"]


def test_P6_an_operator_that_is_taken_off_the_account_gets_nothing_until_it_is_back(tmp_path: Path) -> None:
    with shared(tmp_path) as one:
        deliver(one.gateway, 1, "a@x.example")
        one.gateway.good()
        one.gateway.specs = (ACME,)
        deliver(one.gateway, 2, "b@x.example")
        one.turn("a@x.example", "b@x.example")
        one.gateway.good()
        assert one.filed() == []
        # What came while it was away was never refused by it.
        one.gateway.specs = (ACME, GLOBEX)
        assert one.gateway.good().tally.filed == 1
        assert one.filed() == ["a@x.example"]


def test_P6_personal_mail_stays_its_users(tmp_path: Path) -> None:
    with shared(tmp_path, user="irina") as one:
        deliver(one.gateway, 1, "a@x.example")
        one.gateway.good()
        one.turn("a@x.example")
        assert one.gateway.good().tally.filed == 1
        assert (one.filed(), one.filed("globex", "irina")) == ([], ["a@x.example"])


def answer(number: int, ours: str) -> bytes:
    return make_raw(number, sender="a@x.example").replace(b"Subject:", f"In-Reply-To: {ours}\r\nSubject:".encode())


@pytest.mark.parametrize(("owner", "operator"), [(None, "acme"), ("irina", "acme"), (None, "third")])
def test_P6_what_comes_back_from_anothers_delivery_is_not_handed_over(tmp_path: Path, owner: str | None, operator: str) -> None:
    ours = SIGNER.message_id("mail", "example.com")
    told: list[Origin] = []
    account = AccountConfig(name="main", kind="fake", operators=("acme", "globex"), options=Forwarder.Options())
    account = replace(account, imports=ImportConfig())
    known_ = replace(config(), accounts={"main": account})
    with shared(tmp_path) as one:
        one.gateway.router = Router(known_, SIGNER, nothing, origins=lambda _, __: told)
        # What is known of it when it comes, and what only later.
        told.append(Origin(message_id=ours, operator=operator, user=owner))
        one.gateway.transport.deliver(answer(1, ours))
        one.gateway.good()
        stays = operator == "third"
        assert one.refused() == (["a@x.example"] if stays else [])
        told.clear()
        one.gateway.transport.deliver(answer(2, ours))
        one.gateway.good()
        assert one.refused() == ["a@x.example"]
        told.append(Origin(message_id=ours, operator=operator, user=owner))
        one.turn("a@x.example")
        # What comes back from an operator that the account does not serve is mail like any other.
        assert one.gateway.good().tally.filed == (2 if stays else 0)
        assert len(one.filed()) == (2 if stays else 0)
        assert one.refused() == []


class Unsure(Matching):
    """The matching, but of mail that is admitted already it says that nothing can be decided: the directory broke meanwhile."""

    def __init__(self, matching: LocalMatching) -> None:
        self._matching = matching

    def refresh(self, spec: OperatorSpec) -> list[str]:
        return self._matching.refresh(spec)

    def basis(self, spec: OperatorSpec) -> Basis | None:
        return self._matching.basis(spec)

    def changed(self, spec: OperatorSpec, version: str) -> Collection[str] | None:
        return self._matching.changed(spec, version)

    def begin(self, request: MatchRequest) -> MatchRun:
        ids = frozenset(one.id for one in request.raw_mails)
        found = OperatorResult(operator="globex", pending=ids, undecided="the directory can't be opened")
        matched = self._matching.begin(request)
        return (
            Decided(replace(matched.result(lambda: None), results=(found,)))
            if any(one.admitted for one in request.raw_mails)
            else matched
        )


class Decided(MatchRun):
    def __init__(self, matched: MatchResult) -> None:
        self._matched = matched

    def result(self, _: Callable[[], None] = lambda: None) -> MatchResult:
        return self._matched

    def drop(self) -> None:
        pass


def test_what_cannot_be_decided_once_its_sender_is_admitted_is_not_forgotten(tmp_path: Path) -> None:
    with shared(tmp_path) as one:
        deliver(one.gateway, 1, "a@x.example")
        one.gateway.good()
        one.turn("a@x.example")
        matching = one.gateway.matching
        one.gateway.matching = Unsure(matching)  # type: ignore[assignment]
        assert one.gateway.visit().tally.filed == 0
        assert one.refused() == ["a@x.example"]
        one.gateway.matching = matching
        assert one.gateway.good().tally.filed == 1


def test_what_was_not_filed_after_all_is_not_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with shared(tmp_path) as one:
        deliver(one.gateway, 1, "a@x.example")
        one.gateway.good()
        one.turn("a@x.example")
        with monkeypatch.context() as patch:
            patch.setattr(one.gateway.store, "add_filings", away)
            assert one.gateway.visit().error
        assert one.refused() == ["a@x.example"]
        assert one.gateway.good().tally.filed == 1


def away(*_: object) -> int:
    raise TransientError("the store is away")


def test_what_an_operator_refuses_when_old_mail_is_filed_for_it_stays_known_as_refused(tmp_path: Path) -> None:
    with shared(tmp_path, "b@x.example") as one:
        deliver(one.gateway, 1, "a@x.example")
        one.gateway.good()
        lease = one.gateway.store.take_lease("main", "me", dead=lambda _: True)
        assert isinstance(lease, Lease)
        old = Backfill(
            store=one.gateway.store,
            matching=one.gateway.matching,
            spec=GLOBEX,
            lease=lease,
            imports=one.gateway.imports,
            user=None,
            routing=AccountRouting(),
            events=Events(),
            keep_alive=lambda: None,
        )
        assert sum(file_old(old)) == 0
        assert one.refused() == ["a@x.example"]
        # The directory is looked at first, whatever it was before.
        one.globex.outdated = "its file is gone"
        with pytest.raises(TransientError, match="its file is gone"):
            list(file_old(old))


@pytest.mark.parametrize("owner", [None, "otto", "irina"])
def test_P6_personal_mail_is_no_other_operators_when_the_account_becomes_one_of_several(tmp_path: Path, owner: str | None) -> None:
    with shared(tmp_path, "a@x.example", user="irina") as one:
        one.gateway.specs = (ACME,)
        deliver(one.gateway, 1, "a@x.example")
        one.gateway.good()
        lease = one.gateway.store.take_lease("main", "me", dead=lambda _: True)
        assert isinstance(lease, Lease)
        old = Backfill(
            store=one.gateway.store,
            matching=one.gateway.matching,
            spec=GLOBEX,
            lease=lease,
            imports=one.gateway.imports,
            user=owner,
            routing=AccountRouting(),
            events=Events(),
            keep_alive=lambda: None,
        )
        # Also for a user of the same name, who may be somebody else.
        assert sum(file_old(old)) == 0
        assert one.filed("globex") == []


def provisional(one: Shared, number: int, sender: str) -> None:
    """Have a mail come that is judged by records that were loaded before it came."""
    one.gateway.transport.deliver(make_raw(number, sender=sender), arrival=datetime.now(UTC) - timedelta(seconds=1))
    for built in one.gateway.matching._operators.values():
        assert built.loaded_at
        built.loaded_at -= timedelta(minutes=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OperatorMatching, "refresh", lambda _: [])
        one.gateway.good()


def corrected(one: Shared) -> int:
    """Look at the directory, and give provisional verdicts again, as the daemon does."""
    one.gateway.matching.refresh(GLOBEX)
    accounts = {"main": account(one)}
    return sum(correct(one.gateway.store, one.gateway.matching, GLOBEX, accounts, router=one.gateway.router, events=Events()))


def account(one: Shared) -> AccountConfig:
    options, imports = one.gateway.transport.options, one.gateway.imports
    return AccountConfig(name="main", kind="fake", operators=("acme", "globex"), options=options, imports=imports)


def test_what_is_provisional_is_left_to_its_correction_and_filed_once_with_its_rules(tmp_path: Path) -> None:
    with shared(tmp_path) as one:
        one.gateway.router = Router(ruled("globex"), SIGNER, nothing)
        provisional(one, 1, "a@x.example")
        assert one.refused() == ["a@x.example"]
        one.turn("a@x.example")
        assert one.gateway.good().tally.filed == 0
        assert corrected(one) == 1
        assert (one.filed(), one.refused(), one.sent()) == (["a@x.example"], [], ["globex"])
        assert one.gateway.good().tally.filed == 0
        assert one.gateway.audit().proven


def test_what_newer_records_refuse_again_stays_and_is_filed_when_others_admit_it(tmp_path: Path) -> None:
    with shared(tmp_path) as one:
        provisional(one, 1, "a@x.example")
        one.turn("z@x.example")
        assert corrected(one) == 0
        assert one.refused() == ["a@x.example"]
        assert one.gateway.good().tally.filed == 0
        one.turn("a@x.example")
        assert one.gateway.good().tally.filed == 1
        assert (one.filed(), one.refused()) == (["a@x.example"], [])


def test_what_a_sender_was_admitted_for_while_it_was_provisional_is_not_forgotten(tmp_path: Path) -> None:
    with shared(tmp_path) as one:
        provisional(one, 1, "a@x.example")
        one.turn("a@x.example")
        for _ in range(2):
            assert one.gateway.good().tally.filed == 0
        # Nobody gave it again within a week.
        with one.gateway.store._db.writing() as connection:
            connection.exec_driver_sql("UPDATE provisional SET until = 1")
        assert one.gateway.good().tally.filed == 1


def test_what_an_operator_could_not_decide_and_refuses_then_is_judged_again_like_any(tmp_path: Path) -> None:
    with shared(tmp_path) as one:
        one.globex.down = True
        deliver(one.gateway, 1, "a@x.example")
        one.gateway.good()
        assert (one.filed("acme"), one.filed()) == (["a@x.example"], [])
        one.globex.down = False
        one.turn()
        assert corrected(one) == 0
        one.gateway.good()
        one.turn("a@x.example")
        assert one.gateway.good().tally.filed == 1
        assert (one.filed(), one.refused()) == (["a@x.example"], [])


@pytest.mark.parametrize("away", [{}, {"main": None}])
def test_P1_what_an_operator_could_not_decide_while_its_accounts_file_was_away_is_decided_when_it_is_back(
    tmp_path: Path, away: dict[str, None]
) -> None:
    with shared(tmp_path, "a@x.example") as one:
        deliver(one.gateway, 1, "c@x.example")
        one.gateway.good()
        one.gateway.good()
        one.globex.down = True
        deliver(one.gateway, 2, "a@x.example")
        one.gateway.good()
        assert one.filed() == []
        # Its records are the same as before when it is back.
        one.globex.down = False
        one.gateway.matching.refresh(GLOBEX)
        unread = {name: replace(account(one), imports=None) for name in away}
        assert sum(correct(one.gateway.store, one.gateway.matching, GLOBEX, unread, router=None, events=Events())) == 0
        one.gateway.good()
        assert corrected(one) == 1
        assert (one.filed(), one.refused()) == (["a@x.example"], ["c@x.example"])
        assert one.gateway.good().tally.filed == 0


def test_a_visit_that_is_ended_in_the_middle_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatewayd.importing.backfilling.BATCH", 2)
    with shared(tmp_path) as one:
        for number in range(1, 6):
            deliver(one.gateway, number, f"{'ab'[number % 2]}@x.example")
        one.gateway.good()
        one.turn("a@x.example", "b@x.example")
        one.gateway.stopping = lambda: bool(one.filed())
        assert one.gateway.visit().tally.filed == 2
        one.gateway.stopping = lambda: False
        assert one.gateway.good().tally.filed == 3
        assert len(one.filed()) == 5
