"""What people choose: each operator is shown what it admits, chooses for itself alone, and nothing is settled before all decided."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

import pytest

from gatewayd import Action, Contents, OfferQuery, TransientError, Viewer
from gatewayd.api.health import Task
from gatewayd.config import ImportConfig
from gatewayd.testing import FakeDirectory, FakeTransport, make_contact, make_record
from gatewayd.testing.contracts.custodian import make_raw
from tests.unit.heard import events
from tests.unit.importing.filled import filled
from tests.unit.kernel import Gateway, directory, links_all, matcher, spec

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from gatewayd import Contact, OfferView
    from gatewayd.api.events import MailFiled

ACME, GLOBETROT = Viewer(operator="acme"), Viewer(operator="globetrot")
CHOSEN = ImportConfig(take="chosen")


def offers(gateway: Gateway, viewer: Viewer = ACME, *, still: bool = True) -> Sequence[OfferView]:
    return gateway.store.offers(viewer, OfferQuery(account="main", open=still))


def keys(gateway: Gateway, viewer: Viewer = ACME) -> list[str]:
    return [one.key for one in offers(gateway, viewer)]


def choose(gateway: Gateway, viewer: Viewer, *wanted: str) -> int:
    ids = [one.id for one in offers(gateway, viewer, still=False) if one.key in wanted]
    assert len(ids) == len(wanted)
    return gateway.store.choose(viewer, "main", ids, who="anna")


def dismiss(gateway: Gateway, viewer: Viewer, *wanted: str, undo: bool = False) -> int:
    ids = [one.id for one in offers(gateway, viewer, still=False) if one.key in wanted]
    return gateway.store.dismiss(viewer, "main", ids, who="anna", undo=undo)


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Gateway]:
    """An account of two operators with three mails, all of them offered."""
    imports = ImportConfig(take="chosen", after=Action(do="delete"))
    with Gateway(tmp_path, filled(3), imports=imports, specs=[spec("acme"), spec("globetrot")]) as gateway:
        gateway.good()
        yield gateway


def test_mail_is_offered_with_what_its_headers_say_and_never_asked_for_again(shared: Gateway) -> None:
    assert shared.states() == {"1:1": "offered", "1:2": "offered", "1:3": "offered"}
    newest, _, _ = offers(shared)
    assert (newest.key, newest.sender, newest.to, newest.attachments, newest.decision) == (
        "1:3",
        "anna@example.com",
        ("reservations@example.com",),
        False,
        "offered",
    )
    assert newest.subject
    assert newest.sent_at
    assert newest.size == len(shared.transport.message("1:3").raw)
    shared.good()
    shared.good(compare=True)
    assert len(shared.transport.steps("headers")) == 1, "a listing is never read twice"
    assert not shared.transport.steps("message"), "nothing is fetched"


def test_P6_a_choice_is_filed_for_the_chooser_alone(shared: Gateway) -> None:
    assert choose(shared, ACME, "1:2") == 1
    assert choose(shared, ACME, "1:2") == 0
    assert shared.states()["1:2"] == "waiting"
    shared.good()
    assert [(one.operator, one.key, one.unread) for one in shared.filings()] == [("acme", "1:2", True)]
    assert not shared.filings("globetrot")
    assert shared.states() == {"1:1": "offered", "1:2": "filed", "1:3": "offered"}
    assert keys(shared) == ["1:3", "1:1"]
    assert keys(shared, GLOBETROT) == ["1:3", "1:2", "1:1"], "one operator's choice hides nothing from another"
    assert shared.audit().proven


def test_a_second_choice_is_filed_from_the_bytes_that_are_here(shared: Gateway) -> None:
    choose(shared, ACME, "1:2")
    shared.good()
    fetched = len(shared.transport.steps("message"))
    told: list[MailFiled] = []
    shared.events = events(filings_added=told.extend)
    choose(shared, GLOBETROT, "1:2")
    shared.good()
    assert [one.key for one in shared.filings("globetrot")] == ["1:2"]
    assert [(one.key, one.operators) for one in told] == [("1:2", ("globetrot",))]
    assert {one.key: one.decision for one in offers(shared, GLOBETROT, still=False)}["1:2"] == "filed"
    assert len(shared.transport.steps("message")) == fetched
    assert len(shared.filings()) == 1


def test_P4_an_operator_whose_file_is_faulty_keeps_nobody_elses_choice_from_being_filed(tmp_path: Path) -> None:
    known = directory([], [make_contact(make_record("customer", "C1"), "anna@example.com", contact_type="sales")])
    imports = ImportConfig(take="chosen", contact_types={"customer": ("sales",)})
    calm, specs = matcher("calm", links_all), [spec(one, "calm", known=True) for one in ("acme", "globetrot", "third")]
    with Gateway(tmp_path, filled(1), imports=imports, plugins=[known, calm], specs=specs) as gateway:
        gateway.good()
        third = Viewer(operator="third")
        choose(gateway, third, "1:1")
        gateway.good()
        for viewer in (ACME, GLOBETROT):
            choose(gateway, viewer, "1:1")
        gateway.specs = [spec("acme", "calm", known=True, faulty=True), *specs[1:]]
        report = gateway.visit()
        assert (report.error, len(gateway.filings()), len(gateway.filings("globetrot"))) == (None, 0, 1)
        assert any("what it chose waits for the next visit" in note for note in report.notes)
        gateway.specs = specs
        gateway.good()
        assert (len(gateway.filings()), len(gateway.filings("globetrot")), len(gateway.filings("third"))) == (1, 1, 1)


def test_two_keys_with_the_same_bytes_are_each_filed_for_who_chose_them(tmp_path: Path) -> None:
    transport = FakeTransport(account="main")
    transport.deliver(make_raw(1))
    transport.deliver(make_raw(1))
    with Gateway(tmp_path, transport, imports=CHOSEN, specs=[spec("acme"), spec("globetrot")]) as gateway:
        gateway.good()
        choose(gateway, ACME, "1:1")
        choose(gateway, GLOBETROT, "1:2")
        gateway.good()
        assert gateway.states() == {"1:1": "filed", "1:2": "duplicate"}
        assert (len(gateway.filings()), len(gateway.filings("globetrot"))) == (1, 1)


def test_P3_a_settle_is_owed_once_all_operators_decided_and_never_for_what_nobody_chose(shared: Gateway) -> None:
    choose(shared, ACME, "1:1", "1:2")
    for _ in range(2):
        assert shared.good().settled == 0
    dismiss(shared, GLOBETROT, "1:1", "1:3")
    dismiss(shared, ACME, "1:3")
    shared.good()
    assert shared.transport.keys() == ["1:2", "1:3"], "the other operator has not decided about 1:2, and nobody chose 1:3"
    choose(shared, GLOBETROT, "1:2")
    shared.good()
    shared.good()
    assert shared.transport.keys() == ["1:3"]


def test_a_key_is_dismissed_when_all_dismissed_it_and_offered_again_when_one_changes_its_mind(shared: Gateway) -> None:
    assert dismiss(shared, ACME, "1:1") == 1
    assert shared.states()["1:1"] == "offered"
    assert keys(shared) == ["1:3", "1:2"]
    assert keys(shared, GLOBETROT) == ["1:3", "1:2", "1:1"]
    assert dismiss(shared, GLOBETROT, "1:1") == 1
    assert shared.states()["1:1"] == "dismissed"
    shared.good(compare=True)
    assert shared.states()["1:1"] == "dismissed"
    assert dismiss(shared, ACME, "1:1", undo=True) == 1
    assert shared.states()["1:1"] == "offered"
    assert choose(shared, GLOBETROT, "1:1") == 1, "what was dismissed can be chosen"
    assert shared.states()["1:1"] == "waiting"


def decided(gateway: Gateway) -> dict[str, str]:
    return {one.subject: one.decision for one in offers(gateway, still=False)}


def test_what_the_server_has_no_headers_of_is_told(tmp_path: Path) -> None:
    transport = filled(2)
    transport.on("headers", lambda: transport.vanish("1:1"))
    with Gateway(tmp_path, transport, imports=CHOSEN) as gateway:
        assert "INBOX: the server has no headers of 1 of 2 messages that are offered" in gateway.good().notes


def test_an_account_that_takes_all_from_now_on_keeps_what_is_offered_and_takes_it_from_the_beginning_only(shared: Gateway) -> None:
    choose(shared, ACME, "1:1")
    dismiss(shared, ACME, "1:2")
    dismiss(shared, GLOBETROT, "1:2")
    shared.imports = ImportConfig(take="all", after=Action(do="delete"))
    shared.transport.deliver(make_raw(7))
    shared.good()
    assert [one.key for one in shared.filings("globetrot")] == ["1:4"], "what was chosen is filed for the chooser alone"
    assert shared.transport.keys() == ["1:1", "1:2", "1:3"], "what globetrot may still choose is not settled"
    assert (keys(shared), keys(shared, GLOBETROT)) == (["1:3"], ["1:3", "1:1"])
    shared.good(from_beginning=True)
    assert shared.states() == {"1:1": "filed", "1:2": "dismissed", "1:3": "filed", "1:4": "filed"}
    assert [sorted(one.key for one in shared.filings(name)) for name in ("acme", "globetrot")] == [
        ["1:1", "1:3", "1:4"],
        ["1:3", "1:4"],
    ]


def test_P3_what_was_dismissed_and_comes_back_is_not_taken_though_the_account_takes_all_by_now(shared: Gateway) -> None:
    for viewer in (ACME, GLOBETROT):
        dismiss(shared, viewer, "1:1")
    backup = shared.transport.back_up()
    for key in ("1:1", "1:2"):
        shared.transport.vanish(key)
    shared.visit(compare=True)
    assert shared.states()["1:1"] == shared.states()["1:2"] == "vanished"
    shared.imports = ImportConfig(take="all", after=Action(do="delete"))
    shared.transport.restore(backup)
    for _ in range(2):
        shared.visit(compare=True)
    assert shared.states() == {"1:1": "dismissed", "1:2": "offered", "1:3": "offered"}
    assert (shared.transport.keys(), len(shared.filings())) == (["1:1", "1:2", "1:3"], 0)


def test_old_mail_that_is_filed_for_an_operator_is_no_longer_offered_to_it(shared: Gateway) -> None:
    choose(shared, ACME, "1:1")
    shared.good()
    shared.task = Task(operator="globetrot")
    shared.good(from_beginning=True)
    shared.task = Task()
    assert [one.key for one in shared.filings("globetrot")] == ["1:1"]
    assert keys(shared, GLOBETROT) == ["1:3", "1:2"]
    shared.good()
    assert shared.transport.keys() == ["1:2", "1:3"], "both have it"


@pytest.mark.parametrize("compared", [False, True])
def test_P1_what_was_decided_goes_with_a_message_to_another_folder(tmp_path: Path, *, compared: bool) -> None:
    transport = FakeTransport(("INBOX", "Done"), account="main", keys_span_folders=True)
    dismissed, chosen, left = [transport.deliver(make_raw(number)) for number in (1, 2, 3)]
    imports = ImportConfig(take="chosen", folders=("INBOX", "Done"))
    with Gateway(tmp_path, transport, imports=imports) as gateway:
        gateway.good()
        dismiss(gateway, ACME, dismissed)
        choose(gateway, ACME, chosen)
        for key in (dismissed, chosen, left):
            transport.move(key, "INBOX", "Done")
        for _ in range(2):
            gateway.visit(compare=compared)
        found = {one.key: (one.folder, one.decision) for one in offers(gateway, still=False)}
        assert found == {dismissed: ("Done", "dismissed"), chosen: ("Done", "filed"), left: ("Done", "offered")}


def test_P6_an_operator_that_is_added_is_offered_what_still_waits_and_not_what_others_have(tmp_path: Path) -> None:
    with Gateway(tmp_path, filled(4), imports=CHOSEN) as gateway:
        for _ in range(2):
            gateway.good()
        choose(gateway, ACME, "1:1")
        gateway.good()
        dismiss(gateway, ACME, "1:2")
        gateway.transport.vanish("1:4")
        gateway.good(compare=True)
        gateway.specs = [*gateway.specs, spec("globetrot")]
        gateway.good()
        assert (keys(gateway), keys(gateway, GLOBETROT)) == (["1:3"], ["1:3", "1:2"]), "though the account was at rest"
        assert len(gateway.transport.steps("headers")) == 1, "nothing is asked of the server for it"
        choose(gateway, GLOBETROT, "1:2")
        gateway.good()
        assert ([one.key for one in gateway.filings()], [one.key for one in gateway.filings("globetrot")]) == (["1:1"], ["1:2"])


def test_P6_an_operator_that_is_added_to_a_users_account_sees_nothing_that_came_to_another_user(tmp_path: Path) -> None:
    with Gateway(tmp_path, filled(2), imports=CHOSEN, user="irina") as gateway:
        gateway.good()
        gateway.specs, gateway.user = [spec("globetrot")], "tom"
        for _ in range(2):
            gateway.good()
        assert keys(gateway, Viewer(operator="globetrot", users=("irina", "tom"))) == []


def test_P1_offers_dismissals_and_choices_outlive_a_renumbering(tmp_path: Path) -> None:
    transport = FakeTransport(account="main")
    for number in (1, 2, 3, 4):
        transport.deliver(make_raw(number, subject=f"No. {number}"), arrival=datetime(2026, 1, number, tzinfo=UTC))
    transport.page_size = 2
    with Gateway(tmp_path, transport, imports=CHOSEN) as gateway:
        gateway.good()
        dismiss(gateway, ACME, "1:1")
        choose(gateway, ACME, "1:2")
        gateway.good()
        transport.renumber()
        choose(gateway, ACME, "1:4")
        for _ in range(2):
            gateway.visit()
            assert decided(gateway) == {"No. 1": "dismissed", "No. 2": "filed", "No. 3": "offered", "No. 4": "filed"}
        assert gateway.states() == {
            "1:1": "vanished",
            "1:2": "filed",
            "1:3": "vanished",
            "1:4": "vanished",
            "2:1": "dismissed",
            "2:2": "filed",
            "2:3": "offered",
            "2:4": "filed",
        }
        assert len(gateway.filings()) == 2


def test_P3_what_one_operator_has_is_still_offered_to_others_after_a_renumbering_and_not_settled(shared: Gateway) -> None:
    shared.transport.page_size = 2
    choose(shared, ACME, "1:2")
    shared.good()
    shared.transport.renumber()
    for _ in range(2):
        shared.good()
    assert shared.transport.keys() == ["2:1", "2:2", "2:3"], "globetrot has not decided"
    assert keys(shared, GLOBETROT) == ["2:3", "2:2", "2:1"]
    assert {one.key: one.decision for one in offers(shared, still=False)}["2:2"] == "filed"
    choose(shared, GLOBETROT, "2:2")
    for _ in range(2):
        shared.good()
    assert (len(shared.filings()), len(shared.filings("globetrot"))) == (1, 1)
    assert shared.transport.keys() == ["2:1", "2:3"]


def test_what_could_not_be_had_stays_offered_with_its_cause(shared: Gateway) -> None:
    shared.transport.fail("1:2", "it is garbled")
    choose(shared, ACME, "1:2")
    shared.visit()
    (one,) = [one for one in offers(shared) if one.key == "1:2"]
    assert (one.decision, one.cause, shared.states()["1:2"]) == ("offered", "it is garbled", "offered")
    shared.transport.fail("1:2", "")
    choose(shared, ACME, "1:2")
    shared.good()
    assert len(shared.filings()) == 1


def test_a_message_that_was_deleted_before_it_was_fetched_says_so(shared: Gateway) -> None:
    (one,) = [one for one in offers(shared) if one.key == "1:2"]
    shared.transport.vanish("1:2")
    choose(shared, ACME, "1:2")
    shared.visit()
    (one,) = shared.store.offers(ACME, OfferQuery(account="main", ids=(one.id,)))
    assert (one.state, one.cause) == ("vanished", "gone from the server before it was fetched")
    assert "1:2" not in keys(shared)
    assert shared.store.at_rest("main"), "no visit can do anything about it"


@pytest.mark.parametrize("new", [False, True])
def test_what_was_offered_as_new_is_new_when_it_is_chosen(tmp_path: Path, *, new: bool) -> None:
    with Gateway(tmp_path, filled(1), imports=CHOSEN) as gateway:
        gateway.good()
        key = gateway.transport.deliver(make_raw(7)) if new else "1:1"
        gateway.good()
        choose(gateway, ACME, key)
        (waiting,) = gateway.store.waiting("main", "INBOX", after=0, limit=9)
        assert waiting.backlog is not new


def test_P6_an_offer_is_shown_after_admission_only_and_a_choice_needs_none(tmp_path: Path) -> None:
    known = directory([], [make_contact(make_record("customer", "C1"), "anna@example.com", contact_type="sales")])
    transport = FakeTransport(account="main")
    transport.deliver(make_raw(1))
    transport.deliver(make_raw(2, sender="stranger@example.com"))
    imports = ImportConfig(take="chosen", contact_types={"customer": ("sales",)})
    specs = [spec("acme", "calm", known=True), spec("globetrot")]
    with Gateway(tmp_path, transport, imports=imports, plugins=[known, matcher("calm", links_all)], specs=specs) as gateway:
        gateway.good()
        assert (keys(gateway), keys(gateway, GLOBETROT)) == (["1:1"], [])
        choose(gateway, ACME, "1:1")
        gateway.good()
        assert [one.key for one in gateway.filings()] == ["1:1"]
        assert not gateway.filings("globetrot")


def test_P6_a_personal_accounts_offers_are_its_users(tmp_path: Path) -> None:
    with Gateway(tmp_path, filled(1), imports=CHOSEN, user="irina") as gateway:
        gateway.good()
        irina = Viewer(operator="acme", users=("irina",))
        assert (keys(gateway), keys(gateway, Viewer(operator="acme", users=("bob",)))) == ([], [])
        ids = [one.id for one in offers(gateway, irina)]
        assert gateway.store.choose(ACME, "main", ids, who="bob") == 0
        assert gateway.store.choose(irina, "main", ids, who="irina") == 1
        gateway.good()
        assert (len(gateway.filings()), len(gateway.filings("acme", "irina"))) == (0, 1)


@pytest.mark.parametrize("now", [None, "tom"])
def test_P6_what_a_user_chose_is_filed_for_nobody_else_when_the_account_is_another_users_or_general(
    tmp_path: Path, now: str | None
) -> None:
    with Gateway(tmp_path, filled(2), imports=CHOSEN, user="irina") as gateway:
        gateway.good()
        irina = Viewer(operator="acme", users=("irina",))
        choose(gateway, irina, "1:1")
        gateway.user = now
        for _ in range(2):
            gateway.good()
        everybody = Viewer(operator="acme", users=("irina", "tom"))
        assert (gateway.filings("acme", *everybody.users), keys(gateway, everybody)) == ([], [])
        gateway.user = "irina"
        gateway.good()
        assert keys(gateway, irina) == ["1:2", "1:1"]


def test_an_account_that_takes_all_offers_what_was_there_before_its_start_once_somebody_looks(tmp_path: Path) -> None:
    start = datetime(2026, 1, 5, tzinfo=UTC)
    transport = FakeTransport(account="main")
    for number in (1, 2, 3):
        transport.deliver(make_raw(number), arrival=start + timedelta(days=number - 3))
    with Gateway(tmp_path, transport, imports=ImportConfig(start=start)) as gateway:
        gateway.good()
        assert gateway.states() == {"1:1": "offered", "1:2": "offered", "1:3": "filed"}
        assert (keys(gateway), transport.steps("headers")) == ([], [])
        gateway.task = Task(look=True)
        gateway.good()
        gateway.task = Task()
        assert keys(gateway) == ["1:2", "1:1"]
        choose(gateway, ACME, "1:1")
        gateway.good()
        assert sorted(one.key for one in gateway.filings()) == ["1:1", "1:3"]


def test_a_look_fetches_nothing_and_the_next_visit_does(tmp_path: Path) -> None:
    with Gateway(tmp_path, filled(2)) as gateway:
        gateway.task = Task(look=True)
        assert gateway.good().gave_way
        assert gateway.states() == {"1:1": "waiting", "1:2": "waiting"}
        gateway.task = Task()
        assert gateway.good().tally.filed == 2
        gateway.task = Task(look=True)
        assert not gateway.good().gave_way, "nothing is left to do"


def test_P2_the_same_key_chosen_by_many_at_once_is_filed_once(shared: Gateway) -> None:
    ids = [one.id for one in offers(shared) if one.key == "1:1"]
    stores = [shared.another_store() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(lambda store: store.choose(ACME, "main", ids, who="anna"), stores))
    assert sorted(counts) == [0, 0, 0, 1]
    shared.good()
    shared.good()
    assert len(shared.filings()) == 1


def test_the_mark_moves_by_a_download_alone_to_the_newest_that_was_shown(shared: Gateway) -> None:
    irina = Viewer(operator="acme", users=("irina",))
    newest, _, oldest = offers(shared)
    assert shared.store.seen(irina, "main").mark == 0
    shared.store.show(irina, "main", newest.id)
    shared.store.show(irina, "main", oldest.id)
    assert shared.store.seen(irina, "main").mark == 0
    shared.store.choose(irina, "main", [oldest.id], who="irina")
    assert shared.store.seen(irina, "main").mark == newest.id
    assert shared.store.seen(ACME, "main").mark == 0, "each viewer has a mark of its own"
    shared.store.choose(ACME, "main", [oldest.id], who="anna")
    assert shared.store.seen(ACME, "main").mark == oldest.id, "of those that were never shown anything, what was chosen"


def test_P6_an_operator_that_is_taken_off_the_account_gets_nothing_and_is_not_waited_for(shared: Gateway) -> None:
    choose(shared, ACME, "1:1")
    choose(shared, GLOBETROT, "1:1", "1:2")
    shared.specs = [spec("acme")]
    for _ in range(2):
        shared.good()
    assert (len(shared.filings()), len(shared.filings("globetrot"))) == (1, 0)
    assert shared.transport.keys() == ["1:2", "1:3"], "acme alone decides"
    assert shared.states()["1:2"] == "offered"
    choose(shared, ACME, "1:2")
    shared.good()
    assert len(shared.filings()) == 2


class Known(FakeDirectory):
    """A directory that a test changes."""

    emails: ClassVar[set[str]] = set()
    version: ClassVar[int] = 1
    down: ClassVar[bool] = False

    def contents(self) -> Contents:
        return Contents(version=str(self.version))

    def contacts(self, emails: Collection[str]) -> Mapping[str, Sequence[Contact]]:
        if self.down:
            raise TransientError("the directory is away")
        customer = make_record("customer", "C1")
        return {one: [make_contact(customer, one, contact_type="sales")] for one in emails if one in self.emails}


def test_P6_newer_records_and_settings_offer_what_they_admit(tmp_path: Path) -> None:
    class Told(Known):
        pass

    known = directory(base=Told)
    imports = ImportConfig(take="chosen", contact_types={"customer": ("sales",)})
    specs = [spec("acme", "calm", known=True)]
    with Gateway(tmp_path, filled(2), imports=imports, plugins=[known, matcher("calm", links_all)], specs=specs) as gateway:
        Told.down = True
        gateway.visit()
        assert keys(gateway) == []
        Told.down, Told.emails = False, {"anna@example.com"}
        gateway.good()
        assert keys(gateway) == ["1:2", "1:1"], "what could not be decided is decided once the directory answers"

        def turn(*emails: str) -> None:
            Told.emails, Told.version = set(emails), Told.version + 1
            gateway.matching.refresh(specs[0])

        dismiss(gateway, ACME, "1:1")
        Told.down = True
        turn("anna@example.com")
        gateway.visit()
        assert keys(gateway) == ["1:2"], "what was admitted stays until somebody can say otherwise"
        Told.down = False
        turn()
        key = gateway.transport.deliver(make_raw(7))
        gateway.good()
        assert keys(gateway) == [], "by newer records nobody known sent it"
        assert [one.key for one in offers(gateway, still=False)] == ["1:1"], "what a person decided stays"
        turn("anna@example.com")
        gateway.task = Task(look=True)
        gateway.good()
        assert keys(gateway) == [key, "1:2"], "a look is enough"
        turn()
        gateway.transport.deliver(make_raw(8))
        gateway.task = Task()
        gateway.good()
        assert keys(gateway) == []
        gateway.imports = CHOSEN
        gateway.good()
        assert len(keys(gateway)) == 3, "without contact types all is offered"


def test_what_is_offered_is_judged_again_only_if_records_changed(tmp_path: Path) -> None:
    asked: list[int] = []

    class Counted(Known):
        emails: ClassVar[set[str]] = {"anna@example.com"}

        def contacts(self, emails: Collection[str]) -> Mapping[str, Sequence[Contact]]:
            asked.append(len(emails))
            return super().contacts(emails)

    imports = ImportConfig(take="chosen", contact_types={"customer": ("sales",)})
    plugins = [directory(base=Counted), matcher("calm", links_all)]
    with Gateway(tmp_path, filled(2), imports=imports, plugins=plugins, specs=[spec("acme", "calm", known=True)]) as gateway:
        gateway.task = Task(look=True)
        for _ in range(3):
            gateway.good()
        assert asked == [1], "when it was listed"
        gateway.task = Task()
        gateway.good()
        assert (asked, keys(gateway)) == ([1], ["1:2", "1:1"])


def test_what_the_server_has_no_headers_of_is_refused_by_nobody_and_had_again(tmp_path: Path) -> None:
    known = directory([], [make_contact(make_record("customer", "C1"), "anna@example.com", contact_type="sales")])
    transport = filled(2)
    imports = ImportConfig(take="chosen", contact_types={"customer": ("sales",)})
    plugins, specs = [known, matcher("calm", links_all)], [spec("acme", "calm", known=True)]
    with Gateway(tmp_path, transport, imports=imports, plugins=plugins, specs=specs) as gateway:
        backup = transport.back_up()
        transport.on("headers", lambda: transport.vanish("1:1"))
        (note,) = gateway.good().notes
        assert "no headers of 1 of 2 messages that are offered" in note
        assert "asked for again" in note
        assert keys(gateway) == ["1:2"]
        asked = len(transport.steps("headers"))
        assert gateway.good().notes == ()
        assert len(transport.steps("headers")) == asked, "not by every visit"
        transport.restore(backup)
        gateway.task = Task(look=True)
        gateway.good()
        assert keys(gateway) == ["1:2", "1:1"]
