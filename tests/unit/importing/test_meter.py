"""What a visit may take of bytes, messages and time (P8): it ends then, and the next goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd import Action
from gatewayd.config import ImportConfig
from gatewayd.importing.meter import Meter, VisitFull
from gatewayd.testing import Asked, FakeTransport
from gatewayd.testing.contracts.custodian import make_raw
from gatewayd.testing.fakes.session import FakeSession
from tests.unit.importing.filled import filled
from tests.unit.kernel import Gateway, limited

if TYPE_CHECKING:
    from pathlib import Path


#: What is said of a visit that has taken what it may.
REST = "what is left is had by the next visit"


def test_P8_a_visit_ends_when_the_server_has_sent_what_it_may_and_the_next_goes_on(tmp_path: Path) -> None:
    """Mail without end takes no account's turn for ever, and nothing of it is lost."""
    sizes = [len(make_raw(number)) for number in range(1, 31)]
    bounds = limited(batch_messages=5, visit_bytes=sum(sizes[:12]))
    with Gateway(tmp_path, filled(30), limits=bounds) as gateway:
        report = gateway.visit()
        assert report.tally.filed == 15
        assert report.error is None
        assert report.session is None
        assert report.notes == (f"more than {bounds.visit_bytes} bytes came, which is `limits.visit_bytes`: {REST}",)
        assert report.unfinished
        assert gateway.visit().tally.filed == 15
        last = gateway.visit()
        assert (last.notes, last.unfinished) == ((), False)


def test_P8_what_a_server_sent_counts_whatever_it_was_and_only_in_this_visit() -> None:
    class Talkative(FakeSession):
        said = 5000

        @property
        def came(self) -> int:
            return Talkative.said

    meter = Meter(limited(visit_bytes=100))
    meter.opened(Talkative(filled(0)), before=True)
    Talkative.said += 100
    meter.check()
    Talkative.said += 1
    with pytest.raises(VisitFull, match="more than 100 bytes"):
        meter.check()


def test_P8_a_visit_lists_no_more_new_messages_than_it_may_and_fetches_those(tmp_path: Path) -> None:
    transport = filled(2500)
    with Gateway(tmp_path, transport, limits=limited(visit_messages=1000, batch_bytes=1 << 30)) as gateway:
        first, second, third = (gateway.visit() for _ in range(3))
        assert [one.listed for one in (first, second, third)] == [1000, 1000, 500]
        assert [one.tally.filed for one in (first, second, third)] == [1000, 1000, 500]
        assert [one.unfinished for one in (first, second, third)] == [True, True, False]
        assert first.notes == (f"INBOX: 1000 messages were new in this visit, and `limits.visit_messages` allows no more: {REST}",)
        assert (first.unproven, third.unproven, third.notes) == (("INBOX",), (), ())
        assert first.error is None
        assert gateway.good().listed == 0


def test_P8_a_visit_ends_when_its_time_is_over_and_the_next_goes_on(tmp_path: Path) -> None:
    with Gateway(tmp_path, filled(30), limits=limited(batch_messages=5, visit_time=0.0)) as gateway:
        report = gateway.visit()
        assert report.tally.filed == 0
        assert report.notes == (f"it took more than 0 s, which is `limits.visit_time`: {REST}",)
    with Gateway(tmp_path, filled(30)) as gateway:
        assert gateway.visit().tally.filed == 30


class Wordy(FakeTransport):
    """A server that says 100 bytes for each page of a listing."""

    said = 0

    def open(self) -> FakeSession:
        class Counted(FakeSession):
            @property
            def came(self) -> int:
                return transport.said

        transport, self.said = self, 0
        super().open()
        return Counted(self)

    def ask(self, asked: Asked) -> None:
        super().ask(asked)
        self.said += 100 if asked.step == "page" else 0


def test_P4_a_folder_whose_whole_listing_is_more_than_a_visit_may_bring_has_its_mail_fetched_all_the_same(tmp_path: Path) -> None:
    transport = Wordy(account="main", page_size=1)
    for number in range(1, 7):
        transport.deliver(make_raw(number))
    with Gateway(tmp_path, transport) as gateway:
        gateway.good()
        # The server counts one that it does not list: until that is cleared up, each visit lists the whole.
        transport.message(transport.deliver(make_raw(7))).hidden = True
        gateway.limits = limited(batch_messages=3, visit_bytes=350)
        for number in (8, 9):
            transport.deliver(make_raw(number))
            reports = [gateway.visit() for _ in range(6)]
            assert [one.error for one in reports if one.error] == []
            assert sum(one.tally.filed for one in reports) == 1
            full = f"INBOX: more than 350 bytes came, which is `limits.visit_bytes`: {REST}"
            assert full in [note for one in reports for note in one.notes]


@pytest.mark.parametrize("limits", [{"visit_bytes": 350}, {"visit_messages": 2}])
def test_P1_a_comparison_that_a_limit_cuts_short_does_not_count_as_one(tmp_path: Path, limits: dict[str, int]) -> None:
    transport = Wordy(account="main", page_size=1)
    for number in range(1, 7):
        transport.deliver(make_raw(number))
    with Gateway(tmp_path, transport) as gateway:
        gateway.good()
        assert (gateway.visit().compared, gateway.visit(compare=True).compared) == (False, True)
        for number in range(7, 11):
            transport.deliver(make_raw(number))
        gateway.limits = limited(batch_messages=3, **limits)
        cut = gateway.visit(compare=True)
        assert (cut.error, cut.compared) == (None, False)
        gateway.limits = limited()
        assert gateway.visit(compare=True).compared


def test_P1_nor_does_one_whose_visit_a_limit_ends_before_it_comes_to_all_folders(tmp_path: Path) -> None:
    transport = FakeTransport(("INBOX", "Team"), account="main")
    for number in range(1, 4):
        transport.deliver(make_raw(number))
    with Gateway(tmp_path, transport, limits=limited(batch_messages=1, visit_bytes=10)) as gateway:
        cut = gateway.visit(compare=True)
        assert (cut.error, cut.listed, cut.tally.filed < 3, cut.compared) == (None, 3, True, False)


#: What is said of a visit that gave way.
GAVE_WAY = f"other accounts waited for their turn: {REST}"


def test_P4_a_visit_that_gives_way_at_each_step_gets_on_all_the_same(tmp_path: Path) -> None:
    transport = FakeTransport(account="main", page_size=2)
    for number in range(1, 6):
        transport.deliver(make_raw(number))
    with Gateway(tmp_path, transport, limits=limited(batch_messages=1)) as gateway:
        gateway.gives_way = lambda: True
        reports = [gateway.visit() for _ in range(5)]
        assert [one.listed for one in reports] == [2, 2, 1, 0, 0]
        assert [one.tally.filed for one in reports] == [1] * 5
        assert all(one.gave_way and not one.error and one.session is None for one in reports)
        assert reports[0].notes == (f"INBOX: {GAVE_WAY}", GAVE_WAY)
        gateway.gives_way = lambda: False
        assert not gateway.good().gave_way


def test_P4_a_visit_that_gives_way_at_each_step_settles_what_is_owed(tmp_path: Path) -> None:
    transport = FakeTransport(("INBOX", "Team"), account="main")
    for folder in ("INBOX", "Team"):
        transport.deliver(make_raw(len(folder)), folder)
    imports = ImportConfig(folders=tuple(transport.folders), after=Action(do="seen"))
    with Gateway(tmp_path, transport, imports=imports) as gateway:
        gateway.gives_way = lambda: True
        for _ in range(6):
            gateway.visit()
        assert sorted(folder for folder, _, _ in transport.settled) == ["INBOX", "Team"]


def test_P4_a_comparison_that_a_doubt_demands_gives_no_way_or_it_would_begin_anew_for_ever(tmp_path: Path) -> None:
    transport = FakeTransport(account="main", page_size=1)
    for number in range(1, 5):
        transport.deliver(make_raw(number))
    with Gateway(tmp_path, transport) as gateway:
        gateway.good()
        transport.message(transport.deliver(make_raw(5))).hidden = True
        before = len(transport.steps("page"))
        # As soon as what is new is listed, and the whole folder is listed for the message that is missing.
        gateway.gives_way = lambda: len(transport.steps("page")) > before + 1
        report = gateway.visit()
        assert len(transport.steps("page")) >= before + 5
        assert (report.notes, report.unproven) == ((), ("INBOX",))


@pytest.mark.parametrize("folders", [("INBOX",), ("INBOX", "Team")])
def test_P1_a_visit_that_gives_way_has_compared_the_folders_that_it_had_come_to(tmp_path: Path, folders: tuple[str, ...]) -> None:
    transport = FakeTransport(folders, account="main")
    for number in range(1, 6):
        transport.deliver(make_raw(number))
    with Gateway(tmp_path, transport, limits=limited(batch_messages=1)) as gateway:
        gateway.gives_way = lambda: bool(transport.steps("message"))
        report = gateway.visit(compare=True)
        assert (report.listed, report.gave_way, report.notes) == (5, True, (GAVE_WAY,))
        assert report.compared == (len(folders) == 1)


def test_P8_what_came_over_a_session_that_broke_counts_for_the_visit() -> None:
    class Talkative(FakeSession):
        said = 0

        @property
        def came(self) -> int:
            return self.said

    meter, transport = Meter(limited(visit_bytes=1000)), FakeTransport()
    for said, total in ((400, 400), (500, 900)):
        session = Talkative(transport)
        meter.opened(session, before=False)
        session.said = said
        meter.check()
        assert meter.count() == total
    session.said += 101
    with pytest.raises(VisitFull, match="more than 1000 bytes"):
        meter.check()
