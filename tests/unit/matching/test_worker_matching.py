"""Worker processes: whatever a matcher or a mail does, it costs its own results only (P4)."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatewayd import PluginError, TransientError
from gatewayd.api.ledger import AGAIN
from gatewayd.api.spool import SpoolSource
from gatewayd.config import WorkersConfig
from gatewayd.matching import RawMail
from gatewayd.matching.blame import parsed_apart
from gatewayd.matching.worker_matching import WorkerMatching
from gatewayd.matching.worker_pool import WorkerPool
from gatewayd.matching.worker_tasks import TaskFailure, TaskOutcome
from gatewayd.runtime import forkserver
from gatewayd.runtime.forkserver import children
from tests.patience import AT_ONCE, LONG, Stopwatch
from tests.unit.heard import events
from tests.unit.matchers import WRONG, faults, linked, match_request, plugin, raw_mail, raw_mails, registry, spec
from tests.unit.supervised import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewayd.matching import MatchRequest, MatchResult
    from gatewayd.registry.loading import Registry

#: Seconds: a deadline for tests, which a process that has started keeps also on a busy machine.
DEADLINE = 1.0


class Pool(WorkerMatching):
    """Workers that remember what ended."""

    def __init__(
        self, registry: Registry, *, processes: int = 1, budget: float = 12.0, deadline: float = DEADLINE, looks_apart: bool = True
    ) -> None:
        self.ended: list[tuple[str, str, str]] = []
        self.changes: list[tuple[str, str, str]] = []
        self.back: list[str] = []
        heard = events(
            worker_replaced=lambda *what: self.ended.append(what),
            breaker_changed=lambda *what: self.changes.append(what),
            directory_back=self.back.append,
        )
        config = WorkersConfig.model_construct(processes=processes, deadline=deadline, budget=budget, memory_mib=128)
        super().__init__(registry, config, heard, looks_apart=looks_apart)

    def match(self, request: MatchRequest) -> MatchResult:
        return self.begin(request).result(lambda: None)

    def pids(self) -> set[int]:
        return {process.pid for pool in self._pools for process in pool._all}


@contextmanager
def pool(
    found: Registry, *, processes: int = 1, budget: float = 12.0, deadline: float = DEADLINE, looks_apart: bool = True
) -> Iterator[Pool]:
    workers = Pool(found, processes=processes, budget=budget, deadline=deadline, looks_apart=looks_apart)
    try:
        yield workers
    finally:
        workers.close()


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def runs(pid: int) -> bool:
    """Whether a process runs, and is no mere entry that nobody asked for yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# --- a matcher's fault --------------------------------------------------------------------------------------------------

#: What each wrong matcher's fault says.
TEXTS = {
    "exits": "it exited with 3",
    "exits-well": "it exited with 0",
    "killed": "ended by signal 9 (SIGKILL)",
    "crashes": "ended by signal 6 (SIGABRT)",
    "leaves": "SystemExit: enough (wrong.py:",
    "interrupts": "its process ended",
    "regex": "it did not answer in time: expected within 2 s (workers.deadline)",
    "sleeps": "it did not answer in time: expected within 2 s (workers.deadline)",
    "hoards": "it used up the memory that it may have: 128 MiB (workers.memory_mib)",
    "allocates": "MemoryError:",
    "unsendable": "Link.record.fields[0][1] is a function, expected text (wrong.py:",
    "unreadable": "Link.because is a Bomb, expected text (wrong.py:",
    "endless": "the number of findings is 1001, expected at most 1000 for each mail",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_P4_only_the_guilty_mail_gets_a_fault_and_all_else_keeps_its_links(wrong: str, tmp_path: Path) -> None:
    found = registry(tmp_path)
    bad, good = (spec(found, name, *by, folder=tmp_path) for name, by in (("acme", ("good", wrong, "asks")), ("nord", ("good",))))
    # What ends otherwise must not run out of time first, however slow the machine; and no innocent mail, either.
    deadline = 2 * DEADLINE if wrong in {"regex", "sleeps"} else 20.0
    with pool(found, deadline=deadline, budget=20 * deadline) as workers:
        matched = workers.match(match_request(raw_mails(5, 4), bad, good))
    ours, others = matched.results
    assert {mail_id for mail_id, fault in ours.faults if fault.by == wrong} == {4}
    assert TEXTS[wrong].lower() in next(fault.error for _, fault in ours.faults if fault.by == wrong).lower()
    assert linked(ours, wrong) == [1, 2, 3, 5]
    assert linked(ours, "good") == linked(others, "good") == [1, 2, 3, 4, 5]
    assert [mail.subject for mail in matched.mails] == [f"{'guilty' if n == 4 else 'fine'} {n}" for n in range(1, 6)]
    assert others.faults == ()


@pytest.mark.parametrize("wrong", ["sleeps", "exits", "leaves"])
def test_P4_a_mail_that_comes_alone_gets_its_fault(wrong: str, tmp_path: Path) -> None:
    found = registry(tmp_path)
    with pool(found) as workers:
        matched = workers.match(match_request(raw_mails(1, 1), spec(found, "acme", wrong, "good", folder=tmp_path)))
    assert [fault.by for _, fault in matched.results[0].faults] == [wrong]
    assert linked(matched.results[0], "good") == [1]


def test_P4_several_guilty_mails_and_several_wrong_matchers_are_all_found(tmp_path: Path) -> None:
    found = registry(tmp_path)
    with pool(found, budget=60.0) as workers:
        matched = workers.match(match_request(raw_mails(16, 2, 9), spec(found, "acme", "exits", "good", "leaves", folder=tmp_path)))
    said = matched.results[0]
    for by in ("exits", "leaves"):
        assert {mail_id for mail_id, fault in said.faults if fault.by == by} == {2, 9}
        assert linked(said, by) == [n for n in range(1, 17) if n not in {2, 9}]
    assert linked(said, "good") == list(range(1, 17))


def test_P4_of_two_hundred_mails_the_one_that_hangs_has_the_fault_and_all_others_their_links(tmp_path: Path) -> None:
    found = registry(tmp_path)
    with pool(found, deadline=3.0, budget=120.0) as workers:
        matched = workers.match(match_request(raw_mails(200, 151), spec(found, "acme", "sleeps", "good", folder=tmp_path)))
    said = matched.results[0]
    assert linked(said, "sleeps") == [n for n in range(1, 201) if n != 151]
    assert {mail_id: fault.by for mail_id, fault in said.faults} == {151: "sleeps"}
    assert "did not answer in time" in said.faults[0][1].error


def test_P4_what_no_time_is_left_for_is_put_off_and_not_left_as_faulty(tmp_path: Path) -> None:
    found = registry(tmp_path)
    guilty = set(range(1, 41, 3))
    with pool(found, deadline=1.0, budget=2.0) as workers:
        matched = workers.match(match_request(raw_mails(40, *guilty), spec(found, "acme", "sleeps", "good", folder=tmp_path)))
    said = matched.results[0]
    final = {mail_id for mail_id, fault in said.faults if not fault.error.endswith(AGAIN)}
    put_off = {mail_id for mail_id, fault in said.faults if fault.error.endswith(AGAIN)}
    assert final <= guilty
    assert put_off
    assert final | put_off | set(linked(said, "sleeps")) == set(range(1, 41))
    assert {fault.by for _, fault in said.faults} == {"sleeps"}
    assert linked(said, "good") == list(range(1, 41))


def test_P4_a_matcher_that_always_sleeps_costs_a_deadline_and_the_budget_at_most(tmp_path: Path) -> None:
    found = registry(tmp_path)
    with pool(found, budget=3.0) as workers:
        workers.match(match_request(raw_mails(1), spec(found, "acme", "good", folder=tmp_path)))
        watch = Stopwatch()
        matched = workers.match(match_request(raw_mails(20, *range(1, 21)), spec(found, "acme", "sleeps", "good", folder=tmp_path)))
        took = watch.seconds
    said = matched.results[0]
    assert {mail_id for mail_id, fault in said.faults if fault.by == "sleeps"} == set(range(1, 21))
    assert linked(said, "good") == list(range(1, 21))
    assert any("(workers.budget)" in fault.error for _, fault in said.faults)
    # Without a budget it would be a deadline for each, and more; what processes take to start and end comes on top.
    assert took < 20 * DEADLINE


def test_P4_several_sleeping_matchers_of_one_operator_share_its_budget(tmp_path: Path) -> None:
    wrong = {f"sleeps-{number}": "time.sleep(1000)" for number in range(6)}
    found = registry(tmp_path, plugin(wrong))
    with pool(found, budget=2.0) as workers:
        workers.match(match_request(raw_mails(1), spec(found, "acme", "good", folder=tmp_path)))
        watch = Stopwatch()
        matched = workers.match(match_request(raw_mails(8, 1), spec(found, "acme", *wrong, "good", folder=tmp_path)))
        took = watch.seconds
    assert linked(matched.results[0], "good") == list(range(1, 9))
    # Each has a second at least, whatever the others took: 8 s. With a budget each it would be 18 s.
    assert took < 17


def test_P4_what_a_matcher_keeps_in_memory_is_not_another_ones_fault(tmp_path: Path) -> None:
    text = plugin({"keeps": "self.kept = getattr(self, 'kept', []) + [bytearray(60 << 20)]", "takes": "len(bytearray(50 << 20))"})
    found = registry(tmp_path, text)
    acme, nord = (spec(found, name, by, folder=tmp_path) for name, by in (("acme", "keeps"), ("nord", "takes")))
    with pool(found) as workers:
        for _ in range(4):
            matched = workers.match(match_request(raw_mails(2, 1), acme, nord))
            assert [one.faults for one in matched.results] == [(), ()]
        # Nothing went wrong: a process whose memory is used up is replaced.
        assert workers.ended == []


def test_P4_a_child_that_a_matcher_forks_says_nothing_and_ends_with_its_process(tmp_path: Path) -> None:
    note = tmp_path / "children"
    does = f"child = os.fork(); Path({str(note)!r}).open('a').write(f'{{os.getpid()}}\\n') if child == 0 else None"
    program = f"Path({str(note)!r}).open('a').write(f\"{{subprocess.Popen(['sleep', '30']).pid}}\\n\")"
    found = registry(
        tmp_path,
        plugin(
            {
                "forks": does,
                "starts": program,
                "dies": f"if child := os.fork(): Path({str(note)!r}).open('a').write(f'{{child}}\\n'); os._exit(7)\n        time.sleep(30)",
            }
        ),
    )
    with pool(found, deadline=20.0, budget=60.0) as workers:
        matched = workers.match(
            match_request(raw_mails(4, 2), spec(found, "acme", "forks", "starts", "dies", "good", folder=tmp_path))
        )
        said = matched.results[0]
        assert linked(said, "good") == linked(said, "forks") == [1, 2, 3, 4]
        # Its child holds no connection open: its death is seen at once, and not when the deadline is over.
        assert faults(said)[2].error == "its process ended: it exited with 7"
        assert not [how for _, _, how in workers.ended if "in time" in how]
    until(lambda: not [pid for pid in note.read_text().split() if runs(int(pid))])


def test_P4_what_a_matcher_prints_disturbs_nobody(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    found = registry(tmp_path, plugin({"prints": "print('here I am', flush=True); os.write(1, b'x' * 100000)"}))
    with pool(found) as workers:
        matched = workers.match(match_request(raw_mails(3, 2), spec(found, "acme", "prints", folder=tmp_path)))
    assert linked(matched.results[0], "prints") == [1, 2, 3]
    assert "here I am" not in capfd.readouterr().out


def test_P4_a_class_that_no_other_process_can_find_costs_its_own_links_only(tmp_path: Path) -> None:
    local = "\n\ndef made():\n    class Local(Good):\n        kind = 'local'\n    return Local\n\n\nLocal = made()\n"
    lost = "\n\ndef known():\n    class Lost(Known):\n        kind = 'lost'\n    return Lost\n\n\nLost = known()\n"
    text = (
        plugin(more=local + lost).replace("[Good, Asks]", "[Good, Asks, Local]").replace("return [Known]", "return [Known, Lost]")
    )
    found = registry(tmp_path, text)
    one = spec(found, "acme", "local", "good", folder=tmp_path)
    with pool(found) as workers:
        said = workers.match(match_request(raw_mails(2), one)).results[0]
        assert linked(said, "good") == [1, 2]
        assert {fault.by for _, fault in said.faults} == {"local"}
        assert "expected a class at the top of its module" in said.faults[0][1].error


@pytest.mark.parametrize("does", ["os._exit(4)", "time.sleep(1000)", "raise ValueError('no')"])
def test_P4_a_matcher_that_can_not_be_built_costs_its_own_links_only(does: str, tmp_path: Path) -> None:
    wrong = f"\n\nclass Unbuilt(Good):\n    kind = 'unbuilt'\n\n    def __init__(self, options, *, operator):\n        {does}\n"
    found = registry(tmp_path, plugin(more=wrong).replace("[Good, Asks]", "[Good, Asks, Unbuilt]"))
    one, other = (
        spec(found, "acme", "good", "unbuilt", folder=tmp_path, known=True),
        spec(found, "nord", "good", folder=tmp_path),
    )
    batches = 1 if "sleep" in does else 3
    with pool(found, budget=6.0) as workers:
        for _ in range(batches):
            matched = workers.match(match_request(raw_mails(3), one, other, admits=False))
            said = matched.results[0]
            assert linked(said, "good") == linked(matched.results[1], "good") == [1, 2, 3]
            assert {(mail_id, fault.by) for mail_id, fault in said.faults} == {(n, "unbuilt") for n in (1, 2, 3)}
        # It is not even built any more.
        deaths = workers.deaths
        if batches == 3:
            workers.match(match_request(raw_mails(3), one, other))
            assert workers.deaths == deaths


@pytest.mark.parametrize("does", ["os._exit(4)", "raise SystemExit(2)"])
def test_P4_a_file_that_can_not_be_imported_there_costs_only_those_who_use_it(does: str, tmp_path: Path) -> None:
    registry(tmp_path)
    late = f"import sys\nif sys.argv[0] == 'gatewayd.matching.worker':\n    import os\n    {does}\n"
    found = registry(
        tmp_path,
        late
        + plugin()
        .replace('"good"', '"late"')
        .replace('"asks"', '"later"')
        .replace('"known"', '"unknown"')
        .replace('"shelf"', '"rack"'),
        name="late",
    )
    one, other = spec(found, "acme", "late", "sleeps", folder=tmp_path), spec(found, "nord", "good", folder=tmp_path)
    with pool(found) as workers:
        ours, others = workers.match(match_request(raw_mails(2), one, other)).results
    assert (linked(others, "good"), others.faults) == ([1, 2], ())
    assert {(mail_id, fault.by) for mail_id, fault in ours.faults} >= {(1, "late"), (2, "late")}


# --- a mail that kills the parser ---------------------------------------------------------------------------------------


READING = """
import os, time

class Reading:
    def __init__(self, raw, does):
        self.raw, self.does, self.size = raw, does, len(raw)

    def read(self, offset, size):
        exec(self.does)
        return self.raw[offset : offset + size]
"""


@pytest.mark.parametrize(("does", "how"), [("os._exit(5)", "it exited with 5"), ("time.sleep(1000)", "did not answer in time")])
def test_P4_a_mail_that_ends_the_parser_is_filed_with_its_bytes_and_a_fault(
    does: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "reading_that_ends.py").write_text(READING)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    # Processes are forked from one that has this path.
    forkserver.close()
    monkeypatch.syspath_prepend(tmp_path)
    reading = importlib.import_module("reading_that_ends").Reading
    found = registry(tmp_path / "plugins")
    raw = b"From: anna@example.com\r\nSubject: fine %d\r\n\r\n"
    sources = {n: reading(raw % n, does if n in {3, 6} else "") for n in range(1, 8)}
    with pool(found, budget=8.0) as workers:
        given = tuple(raw_mail(number, source=source) for number, source in sources.items())
        matched = workers.match(match_request(given, spec(found, "acme", "good", folder=tmp_path)))
        # Alone, too.
        alone = workers.match(match_request(given[2:3], spec(found, "acme", "good", folder=tmp_path)))
    assert [bool(mail.faults) for mail in matched.mails] == [mail.id in {3, 6} for mail in matched.mails]
    assert [mail.subject for mail in matched.mails] == ["" if n in {3, 6} else f"fine {n}" for n in sources]
    assert [mail.source.raw for mail in matched.mails] == [source.raw for source in sources.values()]  # type: ignore[attr-defined]
    assert all(how in mail.faults[0] for mail in (*matched.mails, *alone.mails) if mail.faults)
    assert linked(matched.results[0], "good") == [1, 2, 4, 5, 7]
    assert [(mail.subject, len(mail.faults)) for mail in alone.mails] == [("", 1)]


def test_letters_that_no_worker_can_take_are_not_filed_as_broken(tmp_path: Path) -> None:
    found = registry(tmp_path)
    reading = sys.modules[type(spec(found, "x", "good", folder=tmp_path).matchers[0][1]).__module__].Reading
    with pool(found) as workers, pytest.raises(PluginError, match="mails can't be given to a worker process"):
        workers.match(match_request((raw_mail(1, source=reading(b"")),), spec(found, "acme", "asks", folder=tmp_path)))


def test_letters_that_can_not_be_read_now_are_nobodys_fault(tmp_path: Path) -> None:
    found = registry(tmp_path)
    with pool(found) as workers:
        gone = RawMail(1, SpoolSource(str(tmp_path / "gone"), 0, 100))
        with pytest.raises(TransientError, match="the spool can't be read"):
            workers.match(match_request((gone, *raw_mails(3)[1:]), spec(found, "acme", "good", folder=tmp_path)))
        assert linked(
            workers.match(match_request(raw_mails(2), spec(found, "acme", "good", folder=tmp_path))).results[0], "good"
        ) == [
            1,
            2,
        ]
        assert workers.ended == []


class Ending:
    """Where every process ends as soon as it begins."""

    config = WorkersConfig()

    def run_task(self, *_: object, **__: object) -> TaskOutcome:
        return TaskOutcome(failure=TaskFailure(None, "it exited with 6"))


def test_where_every_process_ends_as_it_begins_no_letter_is_to_blame() -> None:
    with pytest.raises(TransientError, match="worker processes end as soon as they begin: it exited with 6"):
        parsed_apart(Ending(), raw_mails(3))


def test_where_what_forks_them_ends_nothing_is_filed_as_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pickle.py").write_text("import os\nos._exit(6)\n")
    found = registry(tmp_path / "plugins")
    one = spec(found, "acme", "good", folder=tmp_path)
    forkserver.close()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    with pool(found) as workers:
        with pytest.raises(
            TransientError, match=r"no worker process can be started: .* ended or hung 2 times, at last with exit code 6"
        ):
            workers.match(match_request(raw_mails(3), one))
        monkeypatch.undo()
        assert linked(workers.match(match_request(raw_mails(3), one)).results[0], "good") == [1, 2, 3]


def test_what_forks_them_may_hang_and_they_are_closed_at_once(tmp_path: Path) -> None:
    found = registry(tmp_path / "plugins")
    given = match_request(raw_mails(3), spec(found, "acme", "good", folder=tmp_path))
    failed: list[TransientError] = []
    workers = Pool(found)

    def match() -> None:
        with pytest.raises(TransientError) as error:
            workers.match(given)
        failed.append(error.value)

    workers.match(given)
    server = parent_of(min(workers.pids()))
    there = workers.pids()
    for process in there:
        os.kill(process, signal.SIGKILL)
    until(lambda: not any(map(runs, there)))
    # Who comes now needs a new one.
    os.kill(server, signal.SIGSTOP)
    waits = threading.Thread(target=match)
    waits.start()
    # Else it may not have come to ask, and nobody would ever notice that the process hangs.
    until(children._lock.locked)
    watch = Stopwatch()
    workers.close()
    assert watch.seconds < 5
    waits.join(LONG)
    assert [error.message for error in failed] == ["the worker processes are being ended"]
    until(lambda: not runs(server))


def test_however_many_ask_at_once_there_are_no_more_processes_than_there_may_be() -> None:
    lane = WorkerPool(2, more=0, memory=128 << 20, keep=False)
    busy, most = 0, list[int]()
    door, together = threading.Lock(), threading.Barrier(8)

    def use() -> None:
        nonlocal busy
        together.wait(LONG)
        process = lane.take()
        with door:
            busy += 1
            most.append(busy)
        time.sleep(0.05)
        with door:
            busy -= 1
        lane.give_back(process)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    lane.close()
    assert (len(most), max(most)) == (8, 2)


# --- killed from outside ------------------------------------------------------------------------------------------------


def test_P4_a_worker_killed_from_outside_while_it_works_changes_nothing(tmp_path: Path) -> None:
    found = registry(tmp_path, plugin({"slow": "time.sleep(0.8)"}))
    one = spec(found, "acme", "good", "slow", "asks", folder=tmp_path, known=True)
    with pool(found, deadline=10.0) as workers:
        quiet = workers.match(match_request(raw_mails(3, 2), one, admits=False))
        under = workers.begin(match_request(raw_mails(3, 2), one, admits=False))
        time.sleep(0.3)
        for pid in workers.pids():
            os.kill(pid, 9)
        disturbed = under.result(lambda: None)
        assert disturbed.results == quiet.results
        assert [mail.subject for mail in disturbed.mails] == [mail.subject for mail in quiet.mails]
        assert workers.deaths == 1
        assert workers.changes == []


def test_P4_workers_killed_while_they_wait_are_replaced_and_nobody_notices(tmp_path: Path) -> None:
    found = registry(tmp_path)
    one = spec(found, "acme", "good", folder=tmp_path)
    with pool(found, processes=3) as workers:
        unders = [workers.begin(match_request(raw_mails(50), one)) for _ in range(6)]
        for under in unders:
            under.result(lambda: None)
        pids = workers.pids()
        for pid in pids:
            os.kill(pid, 9)
        until(lambda: not any(map(runs, pids)))
        assert linked(workers.match(match_request(raw_mails(3), one)).results[0], "good") == [1, 2, 3]
        assert workers.ended == []


def test_results_nobody_waits_for_hold_no_process(tmp_path: Path) -> None:
    found = registry(tmp_path)
    one = spec(found, "acme", "good", folder=tmp_path)
    with pool(found) as workers:
        forgotten = [workers.begin(match_request(raw_mails(100), one)) for _ in range(5)]
        began = time.monotonic()
        assert len(workers.match(match_request(raw_mails(3), one)).mails) == 3
        assert time.monotonic() - began < AT_ONCE
        assert all(len(one.result(lambda: None).mails) == 100 for one in forgotten)


def test_an_order_that_is_dropped_ends_its_call_and_gives_its_trial_to_others(tmp_path: Path) -> None:
    found = registry(tmp_path)
    one = spec(found, "acme", "sleeps", folder=tmp_path)
    with pool(found, deadline=LONG) as workers:
        under = workers.begin(match_request(raw_mails(1, 1), one))
        until(lambda: any(process.overdue for process in workers.pool._all))
        began = time.monotonic()
        under.drop()
        until(lambda: not any(process.overdue for process in workers.pool._all))
        assert time.monotonic() - began < AT_ONCE

        def tick() -> None:
            raise TransientError("the lease is lost")

        with pytest.raises(TransientError, match="the lease is lost"):
            workers.begin(match_request(raw_mails(1, 1), one)).result(tick)
        until(lambda: not any(process.overdue for process in workers.pool._all))
        assert linked(workers.match(match_request(raw_mails(1), one)).results[0], "sleeps") == [1]
        assert workers.deaths == 0
        assert workers.ended == [], "nobody failed"


# --- who waits for whom -------------------------------------------------------------------------------------------------


def test_P4_processes_that_are_slow_keep_nobody_waiting(tmp_path: Path) -> None:
    found = registry(tmp_path)
    sleeper, good = spec(found, "acme", "sleeps", folder=tmp_path), spec(found, "nord", "good", folder=tmp_path)
    with pool(found, processes=2, deadline=LONG, budget=LONG) as workers:
        slow = [workers.begin(match_request(raw_mails(2, 1), sleeper)) for _ in range(4)]
        until(lambda: any(process.overdue for process in workers.pool._all))
        for _ in range(20):
            began = time.monotonic()
            workers.match(match_request(raw_mails(2), good))
            assert time.monotonic() - began < AT_ONCE
        assert not any(one._future.done() for one in slow)  # type: ignore[attr-defined]
        for one in slow:
            one.drop()


def test_P4_who_waits_longest_is_next(tmp_path: Path) -> None:
    found = registry(tmp_path, plugin({"slow": "time.sleep(0.2)"}))
    one = spec(found, "acme", "slow", folder=tmp_path)
    done: list[int] = []
    with pool(found) as workers:
        workers.match(match_request(raw_mails(1), one))

        def work(number: int) -> None:
            workers.match(match_request(raw_mails(1, 1), one))
            done.append(number)

        threads = []
        for number in range(6):
            threads.append(threading.Thread(target=work, args=(number,)))
            threads[-1].start()
            time.sleep(0.05)
        for thread in threads:
            thread.join()
    assert done == sorted(done)


def test_the_memory_and_the_number_of_processes_stay_bounded_over_many_batches(tmp_path: Path) -> None:
    found = registry(tmp_path)
    one = spec(found, "acme", "good", "asks", folder=tmp_path, known=True)

    def resident(workers: Pool) -> int:
        return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 for pid in workers.pids())

    def work(workers: Pool, count: int) -> None:
        for _ in range(count):
            workers.match(match_request(raw_mails(20), one))

    with pool(found, processes=2) as workers:
        work(workers, 100)
        before, pids, threads = resident(workers), workers.pids(), threading.active_count()
        work(workers, 900)
        assert resident(workers) - before < 8 << 20
        assert workers.pids() == pids
        assert threading.active_count() <= threads + 1


# --- the end ------------------------------------------------------------------------------------------------------------


def test_close_leaves_no_process_behind_and_nothing_starts_afterwards(tmp_path: Path) -> None:
    found = registry(tmp_path)
    one = spec(found, "acme", "sleeps", folder=tmp_path)
    workers = Pool(found, processes=2, deadline=LONG)
    unders = [workers.begin(match_request(raw_mails(1, 1), one)) for _ in range(4)]
    until(lambda: workers.count >= 2)
    time.sleep(0.5)
    pids = workers.pids()
    began = time.monotonic()
    workers.close()
    assert time.monotonic() - began < AT_ONCE
    for under in unders:
        with pytest.raises(TransientError, match="being ended"):
            under.result(lambda: None)
    until(lambda: not any(map(runs, pids)))
    with pytest.raises(TransientError, match="being ended"):
        workers.match(match_request(raw_mails(1), one))
    # Who used one learns a moment later that it is gone.
    until(lambda: workers.count == 0)


# --- new code -----------------------------------------------------------------------------------------------------------


def reasons(matched: MatchResult) -> set[str]:
    return {link.because for _, link in matched.results[0].links}


def test_a_changed_plugin_file_is_taken_over_with_the_next_batch_by_fresh_processes(tmp_path: Path) -> None:
    old = registry(tmp_path, plugin(version="1"))
    was = spec(old, "acme", "good", folder=tmp_path)
    with pool(old, processes=2) as workers:
        workers.apply(old, {"acme": was}, workers.config)
        assert reasons(workers.match(match_request(raw_mails(2), was))) == {"good 1"}
        before = workers.pids()
        for version in "234":
            new = registry(tmp_path, plugin(version=version))
            now = spec(new, "acme", "good", folder=tmp_path)
            workers.apply(new, {"acme": now}, workers.config)
            # Also for a visit that began long before, and has the spec of then.
            assert reasons(workers.match(match_request(raw_mails(2), was))) == {f"good {version}"}
            assert reasons(workers.match(match_request(raw_mails(2), now))) == {f"good {version}"}
        until(lambda: not any(map(runs, before)))
        # What did not change keeps its processes.
        before = workers.pids()
        workers.apply(new, {"acme": now}, workers.config)
        workers.match(match_request(raw_mails(2), now))
        assert workers.pids() == before


def test_a_batch_that_is_under_way_while_code_changes_comes_to_its_end(tmp_path: Path) -> None:
    slow = {"slow": "time.sleep(0.7)"}
    old = registry(tmp_path, plugin(slow, version="1"))
    was = spec(old, "acme", "slow", "good", folder=tmp_path)
    with pool(old, deadline=10.0) as workers:
        workers.apply(old, {"acme": was}, workers.config)
        under = workers.begin(match_request(raw_mails(2, 1), was))
        time.sleep(0.3)
        new = registry(tmp_path, plugin(slow, version="2"))
        workers.apply(new, {"acme": spec(new, "acme", "slow", "good", folder=tmp_path)}, workers.config)
        done = under.result(lambda: None)
        assert (linked(done.results[0], "good"), done.results[0].faults) == ([1, 2], ())
        assert reasons(workers.match(match_request(raw_mails(2), was))) == {"good 2", "slow 2"}


# --- breakers -----------------------------------------------------------------------------------------------------------


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_P4_three_faulty_batches_open_the_breaker_and_a_trial_closes_it(tmp_path: Path) -> None:
    found = registry(tmp_path)
    one = spec(found, "acme", "leaves", "good", folder=tmp_path)
    other = spec(found, "nord", "leaves", folder=tmp_path)
    with pool(found) as workers:
        clock = Clock()
        workers.breakers._clock = clock
        for _ in range(3):
            workers.match(match_request(raw_mails(2, 1), one))
        assert workers.changes == [("acme", "leaves", "opened")]
        said = workers.match(match_request(raw_mails(2), one)).results[0]
        assert {mail_id: fault.by for mail_id, fault in said.faults} == {1: "leaves", 2: "leaves"}
        assert "it is not called for now" in said.faults[0][1].error
        assert linked(said, "good") == [1, 2]
        # Another operator's is another one's.
        assert linked(workers.match(match_request(raw_mails(2), other)).results[0], "leaves") == [1, 2]
        clock.now += 601
        # A trial that fails, one with no mail to try it with, one that goes well.
        workers.match(match_request(raw_mails(2, 1), one))
        assert workers.breakers.open() == [("acme", "leaves")]
        clock.now += 601
        assert linked(workers.match(match_request(raw_mails(2), one)).results[0], "leaves") == [1, 2]
        assert workers.changes == [("acme", "leaves", "opened"), ("acme", "leaves", "closed")]


def test_P4_a_trial_that_was_never_made_closes_no_breaker(tmp_path: Path) -> None:
    found = registry(tmp_path)
    one = spec(found, "acme", "leaves", folder=tmp_path, known=True)
    with pool(found) as workers:
        clock = Clock()
        workers.breakers._clock = clock
        for _ in range(3):
            workers.match(match_request(raw_mails(1, 1), one))
        clock.now += 601
        # Nobody is admitted, then admission is undecided: the matcher is not called.
        assert workers.match(match_request(raw_mails(1), one, admits=True)).results[0].refused == {1}
        (tmp_path / "down-contacts").touch()
        assert workers.match(match_request(raw_mails(1), one, admits=True)).results[0].undecided
        assert workers.breakers.open() == [("acme", "leaves")]
        assert linked(workers.match(match_request(raw_mails(1), one)).results[0], "leaves") == [1]
        assert workers.breakers.open() == []
