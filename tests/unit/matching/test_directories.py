"""Operators' directories: one that hangs, dies or is down keeps nobody else waiting, and is noticed when it is back (P4)."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from gatewayd.matching import directories
from tests.patience import AT_ONCE, LONG
from tests.unit.log import logged
from tests.unit.matchers import linked, match_request, plugin, raw_mails, registry, spec
from tests.unit.matching.test_worker_matching import pool
from tests.unit.supervised import until

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd.api.directory import Basis, DirectoryLook
    from gatewayd.matching import MatchResult, OperatorSpec
    from gatewayd.matching.worker_messages import PickledSpec
    from gatewayd.registry.loading import Registry


def basis(matched: MatchResult) -> Basis:
    (found,) = matched.results
    assert found.basis
    return found.basis


def operator(found: Registry, tmp_path: Path, name: str, *does: str) -> OperatorSpec:
    folder = tmp_path / name
    folder.mkdir(exist_ok=True)
    for one in does:
        (folder / one).touch()
    return spec(found, name, "good", "asks", folder=folder, known=True)


@pytest.mark.parametrize("does", ["hang-contacts", "exit-contacts", "down-contacts", "hang-follow", "exit-follow"])
def test_P4_admission_that_can_not_be_asked_for_is_undecided_for_that_operator_only(does: str, tmp_path: Path) -> None:
    found = registry(tmp_path)
    one, other = operator(found, tmp_path, "acme", does), operator(found, tmp_path, "nord")
    with pool(found) as workers:
        ours, others = workers.match(match_request(raw_mails(2), one, other, admits=True)).results
        assert ours.undecided
        assert not ours.faults
        assert (others.undecided, others.refused) == ("", frozenset({1, 2}))
        # Where nobody is to be admitted, mail is filed all the same.
        ours, others = workers.match(match_request(raw_mails(2), one, other)).results
        assert not ours.undecided
        assert linked(ours, "good") == linked(others, "good") == linked(others, "asks") == [1, 2]


def test_what_follow_raises_counts_as_what_refresh_raises(tmp_path: Path) -> None:
    found = registry(tmp_path)
    one = operator(found, tmp_path, "acme", "down-follow")
    with pool(found) as workers:
        (ours,) = workers.match(match_request(raw_mails(2), one, admits=True)).results
        assert (set(ours.pending), set(ours.refused), ours.undecided) == ({1, 2}, set(), "the database is away")
        (ours,) = workers.match(match_request(raw_mails(2), one)).results
        assert ours.basis
        assert ours.basis.fault == "the database is away"
        assert linked(ours, "asks") == [1, 2], "what it answers all the same is taken"
        # It is tried again like one that can't be asked, and is back when it follows.
        assert workers.directories._known["acme"].retry_at is not None
        (tmp_path / "acme/down-follow").unlink()
        assert workers.match(match_request(raw_mails(2), one, admits=True)).results[0].refused == {1, 2}
        workers.match(match_request(raw_mails(2), one))
        assert workers.back == ["acme"]


@pytest.mark.parametrize("does", ["hang-find", "exit-find", "down-find"])
def test_P4_a_directory_that_fails_in_a_matchers_call_costs_that_call_only(does: str, tmp_path: Path) -> None:
    found = registry(tmp_path)
    one, other = operator(found, tmp_path, "acme", does), operator(found, tmp_path, "nord")
    # On a busy machine it takes seconds until a directory is asked at all, and a call that ends before has its matcher to blame.
    with pool(found, deadline=4.0, budget=24.0) as workers:
        ours, others = workers.match(match_request(raw_mails(2), one, other)).results
    assert (linked(ours, "good"), linked(ours, "asks")) == ([1, 2], [])
    assert {(mail_id, fault.by) for mail_id, fault in ours.faults} == {(1, "directory"), (2, "directory")}
    assert linked(others, "asks") == [1, 2]


def test_P4_a_matcher_that_asks_without_end_is_at_fault_and_not_its_directory(tmp_path: Path) -> None:
    nags = (
        "\n\nclass Nags(Good):\n    kind = 'nags'\n\n    def match(self, mails, directory):\n"
        "        while True:\n            directory.persons({'anna@example.com'})\n"
    )
    found = registry(tmp_path, plugin(more=nags).replace("[Good, Asks]", "[Good, Asks, Nags]"))
    with pool(found, budget=3.0) as workers:
        (said,) = workers.match(match_request(raw_mails(1), spec(found, "acme", "nags", folder=tmp_path, known=True))).results
    ((_, fault),) = said.faults
    assert fault.by == "nags"
    assert "did not answer in time" in fault.error


@pytest.mark.parametrize("apart", [True, False])
def test_P4_directories_that_hang_when_they_are_refreshed_keep_nobody_waiting(tmp_path: Path, *, apart: bool) -> None:
    found = registry(tmp_path)
    hanging = [operator(found, tmp_path, f"hangs-{number}", "hang-refresh") for number in range(6)]
    good = operator(found, tmp_path, "nord")
    with pool(found, looks_apart=apart) as workers:
        workers.directories._patience = 2.0
        threads = [threading.Thread(target=workers.refresh, args=(one,)) for one in hanging]
        for thread in threads:
            thread.start()
        until(lambda: len(workers.directories._known) == len(hanging))
        time.sleep(0.5)
        workers.directories._patience = LONG
        began = time.monotonic()
        assert workers.refresh(good) == []
        assert time.monotonic() - began < LONG / 2
        for thread in threads:
            thread.join()
        # It is waited for once, and its mail is matched.
        began = time.monotonic()
        assert workers.refresh(hanging[0]) == []
        assert time.monotonic() - began < AT_ONCE
        assert linked(workers.match(match_request(raw_mails(2), hanging[0])).results[0], "asks") == [1, 2]
        pids = workers.pids()
    assert len(pids) <= 10


def test_one_process_does_for_directories_and_mail_that_are_not_kept_apart(tmp_path: Path) -> None:
    found = registry(tmp_path)
    one = operator(found, tmp_path, "acme")
    with pool(found, looks_apart=False) as workers:
        assert workers.refresh(one) == []
        first = workers.pids()
        assert linked(workers.match(match_request(raw_mails(2), one)).results[0], "asks") == [1, 2]
        assert (workers.pids(), workers.count) == (first, 1)


def test_a_directory_that_dies_or_takes_too_long_is_told_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directories, "_LOOK", 0.0)
    monkeypatch.setattr(directories, "_AFTER_DEATH", 0.0)
    monkeypatch.setattr(directories, "LONGEST", 1.0)
    found = registry(tmp_path)
    one = operator(found, tmp_path, "acme", "exit-refresh")
    with pool(found) as workers:
        assert workers.refresh(one) == ["its directory could not be refreshed: its process ended: it exited with 9"]
        (tmp_path / "acme/exit-refresh").rename(tmp_path / "acme/hang-refresh")
        until(lambda: "did not come to its end within 1 s" in "".join(workers.refresh(one)))
        (tmp_path / "acme/hang-refresh").rename(tmp_path / "acme/down-refresh")
        until(lambda: workers.refresh(one) == ["the database is away"])
        assert workers.back == []
        (tmp_path / "acme/down-refresh").unlink()
        until(lambda: not workers.refresh(one) and workers.back == ["acme"])


def test_a_directory_that_could_not_be_asked_is_tried_later_and_later(tmp_path: Path) -> None:
    found = registry(tmp_path)
    one = operator(found, tmp_path, "acme", "down-find")
    with pool(found) as workers:
        clock = [0.0]
        workers.directories._clock = lambda: clock[0]
        workers.directories.told("unknown", failed=True)
        workers.refresh(one)
        workers.match(match_request(raw_mails(1), one))
        times = []
        for second in range(1500):
            clock[0] = second
            times += [second] if workers.directories.due() else []
        assert times[:6] == [15, 45, 105, 225, 465, 765]
        (tmp_path / "acme/down-find").unlink()
        workers.match(match_request(raw_mails(1), one))
        assert workers.back == ["acme"]
        clock[0] += 1000
        assert workers.directories.due() == []
        # Once it is gone from the config, nobody asks for it.
        workers.directories.told("acme", failed=True)
        workers.apply(found, {}, workers.config)
        clock[0] += 1000
        assert workers.directories.due() == []


def test_all_visits_wait_for_the_first_look_at_a_directory(tmp_path: Path) -> None:
    found = registry(tmp_path)
    one = operator(found, tmp_path, "acme")
    with pool(found) as workers, ThreadPoolExecutor(3) as visits:

        def visit(_: int) -> tuple[list[str], bool]:
            return workers.refresh(one), workers.directories._known["acme"].covered is not None

        assert list(visits.map(visit, range(3))) == [([], True)] * 3


def test_directories_are_looked_at_by_time_though_no_mail_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directories, "_LOOK", 0.1)
    found = registry(tmp_path)
    one = operator(found, tmp_path, "acme")
    with pool(found) as workers:
        workers.apply(found, {"acme": one}, workers.config)
        until(lambda: workers.directories.healths()[0].condition == "current")
        first = workers.directories.healths()[0].loaded_at
        until(lambda: workers.directories.healths()[0].loaded_at != first)
        (tmp_path / "acme/contents").write_text("1 gone")
        until(lambda: workers.directories.healths()[0].condition == "outdated")
        assert workers.directories.healths()[0].error == "gone"
        (tmp_path / "acme/contents").write_text("1")
        until(lambda: workers.directories.healths()[0].condition == "current" and workers.back == ["acme"])
        (tmp_path / "acme/contents").unlink()
        (tmp_path / "acme/down-refresh").touch()
        until(lambda: workers.directories.healths()[0].condition == "down")
        # Once it is gone from the config, nobody looks at it.
        workers.apply(found, {}, workers.config)
        assert workers.directories.healths() == []


def test_a_batch_waits_for_a_look_at_what_was_seen_to_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directories, "_LOOK", 1000.0)
    monkeypatch.setattr(directories, "_OVERDUE", 1000.0)
    found = registry(tmp_path)
    one = operator(found, tmp_path, "acme")
    (tmp_path / "acme/contents").write_text("1")
    with pool(found) as workers:
        assert basis(workers.match(match_request(raw_mails(1), one))).version == "1"
        (tmp_path / "acme/contents").write_text("2")
        assert basis(workers.match(match_request(raw_mails(1), one))).version == "1", "nobody has seen that yet"
        workers.directories.touched([tmp_path / "elsewhere/contents"])
        assert basis(workers.match(match_request(raw_mails(1), one))).version == "1", "that is no file of the directory"
        workers.directories.touched([tmp_path / "acme/contents"])
        assert basis(workers.match(match_request(raw_mails(1), one))).version == "2"


def test_a_batch_waits_for_a_look_that_is_overdue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directories, "_LOOK", 0.5)
    monkeypatch.setattr(directories, "_OVERDUE", 0.0)
    found = registry(tmp_path)
    one = operator(found, tmp_path, "acme")
    (tmp_path / "acme/contents").write_text("1")
    with pool(found) as workers:
        workers.refresh(one)
        (tmp_path / "acme/contents").write_text("2")
        assert basis(workers.match(match_request(raw_mails(1), one))).version == "2"


def test_P4_nobody_waits_for_ever_for_a_look_nor_twice_in_vain(tmp_path: Path) -> None:
    found = registry(tmp_path)
    one = operator(found, tmp_path, "acme")
    (tmp_path / "acme/contents").write_text("1")
    with pool(found) as workers:
        workers.refresh(one)
        workers.directories._patience = 1.0
        (tmp_path / "acme/hang-refresh").touch()
        workers.directories.touched([tmp_path / "acme"])
        began = time.monotonic()
        said = basis(workers.match(match_request(raw_mails(1), one)))
        assert (said.version, said.fault) == ("1", "its files have changed and are not taken over yet")
        assert time.monotonic() - began >= 1.0
        workers.directories._patience = 60.0
        assert basis(workers.match(match_request(raw_mails(1), one))).fault
        assert time.monotonic() - began < 20


def test_it_is_known_whose_contacts_changed_over_several_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directories, "_LOOK", 0.05)
    found = registry(tmp_path)
    one = operator(found, tmp_path, "acme")
    for version in "1234":
        (tmp_path / f"acme/changed-{version}").write_text(f"{version}@x.example")
    with pool(found) as workers:
        workers.apply(found, {"acme": one}, workers.config)

        def turns(version: str) -> None:
            (tmp_path / "acme/contents").write_text(version)
            until(lambda: workers.directories.healths()[0].version == version)

        turns("1")
        assert workers.changed(one, "1") == set()
        assert workers.changed(one, "") is None
        turns("2")
        turns("3")
        assert workers.changed(one, "1") == {"1@x.example", "2@x.example"}
        assert workers.changed(one, "2") == {"2@x.example"}
        assert workers.changed(one, "0") is None
        (tmp_path / "acme/changed-3").unlink()
        turns("4")
        assert workers.changed(one, "2") is None
        for number in range(10):
            turns(f"5{number}")
        assert workers.changed(one, "4") is None


def test_closing_lets_nobody_wait_for_a_directory(tmp_path: Path) -> None:
    found = registry(tmp_path)
    one = operator(found, tmp_path, "acme", "hang-refresh")
    with pool(found) as workers:
        workers.directories._patience = LONG
        thread = threading.Thread(target=workers.refresh, args=(one,))
        thread.start()
        until(lambda: workers.directories._known)
        time.sleep(0.5)
        began = time.monotonic()
    thread.join()
    assert time.monotonic() - began < AT_ONCE


def test_P4_a_bug_or_a_lack_of_threads_ends_no_looks_at_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directories, "_LOOK", 0.05)
    found = registry(tmp_path)
    looks: list[DirectoryLook] = []
    bugs = [ZeroDivisionError()]
    with pool(found) as workers, logged() as log:

        def pickle_spec(one: OperatorSpec) -> PickledSpec:
            if bugs:
                raise bugs.pop()
            return workers.pickled(one, ())

        made = directories.Directories(workers.looks, pickle_spec, lambda _: None, looked=looks.append)
        made.attend({"acme": operator(found, tmp_path, "acme")})
        until(lambda: len(looks) > 1, within=10)
        assert "ZeroDivisionError" in looks[0].error
        assert looks[-1].error == ""
        before = threading.stack_size(1 << 46)
        until(lambda: "own fault room=directories error=RuntimeError" in log.getvalue(), within=10)
        threading.stack_size(before)
        so_far = len(looks)
        until(lambda: len(looks) > so_far, within=10)
        made.close()


def test_the_directory_of_an_operator_that_is_gone_is_not_looked_at_for_a_visit_that_still_asks(tmp_path: Path) -> None:
    found = registry(tmp_path)
    one, other = operator(found, tmp_path, "acme"), operator(found, tmp_path, "nord")
    with pool(found) as workers:
        workers.apply(found, {"acme": one, "nord": other}, workers.config)
        workers.apply(found, {"nord": other}, workers.config)
        assert workers.basis(one) is None
        workers.refresh(one)
        assert [each.operator for each in workers.directories.healths()] == ["nord"]
