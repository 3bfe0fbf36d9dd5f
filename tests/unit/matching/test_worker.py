"""The worker's own program, here in this process: what it builds, keeps and says."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest

from gatewayd import PluginError
from gatewayd.api.spool import SpoolSource
from gatewayd.matching import RawMail
from gatewayd.matching.guarded_calls import Admission, MatcherResult
from gatewayd.matching.values import DirectoryCheck
from gatewayd.matching.worker import _replies, _Worker
from gatewayd.matching.worker_messages import MemorySpent, TaskCall, TaskEnded, TaskNext, TaskReady, WorkerTask, pickle_spec
from tests.unit.matchers import plugin, raw_mail, raw_mails, registry, spec

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd.matching.worker_messages import PickledSpec, Reply

PLENTY = 1 << 30


def said(reply: Reply) -> MatcherResult:
    assert isinstance(reply, TaskNext | MemorySpent)
    assert reply.result
    found = pickle.loads(reply.result)
    assert isinstance(found, MatcherResult)
    return found


def asked(worker: _Worker, task: WorkerTask) -> list[Reply]:
    return list(_replies(worker, pickle.dumps(task)))


def pickled(folder: Path, *matchers: str, text: str = "", known: bool = True, name: str = "acme") -> PickledSpec:
    found = registry(folder, text or plugin())
    return pickle_spec(spec(found, name, *matchers, folder=folder, known=known), found)


def test_each_call_is_told_before_it_is_made_with_what_the_one_before_found(tmp_path: Path) -> None:
    calls = (TaskCall(0), TaskCall(0, "good"), TaskCall(0, "asks"))
    replies = asked(
        _Worker(PLENTY), WorkerTask(raw_mails=raw_mails(2), specs={0: pickled(tmp_path, "good", "asks")}, calls=calls, refused={})
    )
    assert [type(one) for one in replies] == [TaskReady, TaskNext, TaskNext, TaskNext, TaskNext, TaskEnded]
    assert [one.call for one in replies if isinstance(one, TaskNext)] == [0, 1, 2, None]
    assert isinstance(replies[2], TaskNext)
    assert pickle.loads(replies[2].result or b"") == Admission()
    assert [len(said(one).found) for one in replies[3:5]] == [2, 2]
    assert isinstance(replies[-1], TaskEnded)
    assert [mail.subject for mail in replies[-1].mails] == ["fine 1", "fine 2"]


def test_mail_that_is_not_admitted_is_not_shown_to_matchers_and_an_undecided_operator_is_left_out(tmp_path: Path) -> None:
    worker, one = _Worker(PLENTY), pickled(tmp_path, "good")
    types = (("customer", ("sales",)),)
    calls = (TaskCall(0), TaskCall(0, "good"))
    replies = asked(worker, WorkerTask(raw_mails=raw_mails(2), specs={0: one}, contact_types=types, calls=calls, refused={}))
    assert said(replies[3]) == MatcherResult()
    # What is known of admission already is taken as it is.
    replies = asked(worker, WorkerTask(raw_mails=raw_mails(2), specs={0: one}, calls=calls[1:], refused={0: frozenset({1})}))
    assert [finding.mail_id for finding in said(replies[2]).found] == [2]
    (tmp_path / "down-contacts").touch()
    replies = asked(worker, WorkerTask(raw_mails=raw_mails(2), specs={0: one}, contact_types=types, calls=calls, refused={}))
    assert [type(one) for one in replies] == [TaskReady, TaskNext, TaskNext, TaskEnded]
    assert pickle.loads(replies[2].result or b"").undecided == "the database is away"  # type: ignore[union-attr]


def test_views_are_sent_only_where_they_are_wanted(tmp_path: Path) -> None:
    task = WorkerTask(raw_mails=raw_mails(2), specs={}, refused={}, views=False)
    assert asked(_Worker(PLENTY), task) == [TaskReady(), TaskNext(None), TaskEnded()]
    del tmp_path


def test_a_refresh_tells_whether_the_directory_is_there(tmp_path: Path) -> None:
    worker, task = _Worker(PLENTY), WorkerTask(specs={0: pickled(tmp_path)}, refused={}, refresh=True)
    assert asked(worker, task) == [TaskReady(), TaskEnded()]
    (tmp_path / "down-refresh").touch()
    assert asked(worker, task) == [TaskReady(), TaskEnded(check=DirectoryCheck(faults=("the database is away",), failed=True))]


def test_a_recipe_with_only_the_files_that_it_needs(tmp_path: Path) -> None:
    registry(tmp_path)
    other = (
        plugin(more="\n# another\n")
        .replace('"good"', '"fine"')
        .replace('"asks"', '"says"')
        .replace('"known"', '"other"')
        .replace('"shelf"', '"rack"')
    )
    found = registry(tmp_path, other, name="other")
    assert len(found.files) == 2
    one = pickle_spec(spec(found, "acme", "good", folder=tmp_path), found)
    assert [file.path.name for file in pickle.loads(one.code)[0]] == ["wrong.py"]
    assert [file.path.name for file in pickle.loads(pickle_spec(spec(found, "acme", folder=tmp_path), found).code)[0]] == [
        "wrong.py"
    ]


@pytest.mark.parametrize(
    ("raises", "text"), [("ValueError('no')", "ValueError: no (wrong.py:1)"), ("SystemExit(2)", "SystemExit: 2 (wrong.py:1)")]
)
def test_P4_a_file_that_can_not_be_imported_here_is_a_fault_of_its_matchers_and_directory(
    raises: str, text: str, tmp_path: Path
) -> None:
    one = pickled(tmp_path, "good")
    files, inner = pickle.loads(one.code)
    broken = type(one)("acme", pickle.dumps(([type(files[0])(path=files[0].path, code=f"raise {raises}\n".encode())], inner)))
    worker, calls = _Worker(PLENTY), (TaskCall(0), TaskCall(0, "good"))
    replies = asked(worker, WorkerTask(raw_mails=raw_mails(1), specs={0: broken}, calls=calls, refused={}))
    assert pickle.loads(replies[2].result or b"") == Admission(broken=text)  # type: ignore[union-attr]
    assert [(mail_id, fault.by, fault.error) for mail_id, fault in said(replies[3]).faults] == [(1, "good", text)]
    types = (("customer", ("sales",)),)
    replies = asked(worker, WorkerTask(raw_mails=raw_mails(1), specs={0: broken}, contact_types=types, calls=calls, refused={}))
    assert pickle.loads(replies[2].result or b"") == Admission(undecided=text)  # type: ignore[union-attr]
    assert asked(worker, WorkerTask(specs={0: broken}, refused={}, refresh=True)) == [
        TaskReady(),
        TaskEnded(check=DirectoryCheck(faults=(text,), failed=True)),
    ]
    # Once it is sound again, so is the operator.
    replies = asked(worker, WorkerTask(raw_mails=raw_mails(1), specs={0: one}, calls=calls, refused={}))
    assert len(said(replies[3]).found) == 1


def test_with_its_memory_used_up_it_makes_no_further_call(tmp_path: Path) -> None:
    text = plugin({"keeps": "self.kept = bytearray(40 << 20)", "starves": "self.kept = bytearray(40 << 20); raise MemoryError"})
    one = pickled(tmp_path, "keeps", "good", "starves", text=text)
    calls = (TaskCall(0, "keeps"), TaskCall(0, "good"))
    replies = asked(_Worker(40 << 20), WorkerTask(raw_mails=raw_mails(2, 1), specs={0: one}, calls=calls, refused={}))
    assert [type(one) for one in replies] == [TaskReady, TaskNext, MemorySpent]
    assert len(said(replies[2]).found) == 2
    replies = asked(
        _Worker(40 << 20), WorkerTask(raw_mails=raw_mails(2, 1), specs={0: one}, calls=(TaskCall(0, "starves"),), refused={})
    )
    assert replies[2:] == [MemorySpent()]
    assert asked(_Worker(-PLENTY), WorkerTask(specs={}, refused={}, raw_mails=(raw_mail(1),), views=False))[-1] == TaskEnded(
        spent=True
    )


def test_the_operators_that_it_keeps_are_bounded(tmp_path: Path) -> None:
    worker = _Worker(PLENTY)
    for number in range(70):
        one = pickled(tmp_path, "good", name=f"operator-{number}")
        asked(worker, WorkerTask(raw_mails=raw_mails(1), specs={0: one}, calls=(TaskCall(0), TaskCall(0, "good")), refused={}))
    assert len(worker._operators) == 64
    assert "operator-69" in worker._operators
    assert "operator-0" not in worker._operators


def test_letters_that_can_not_be_read_or_taken_are_nobodys_fault(tmp_path: Path) -> None:
    gone = RawMail(1, SpoolSource(str(tmp_path / "gone"), 0, 10))
    (_, ended) = asked(_Worker(PLENTY), WorkerTask(raw_mails=(gone,), specs={}, refused={}))
    assert isinstance(ended, TaskEnded)
    assert "the spool can't be read" in str(ended.error)
    (ended,) = _replies(_Worker(PLENTY), b"no pickle at all")
    assert isinstance(ended, TaskEnded)
    assert isinstance(ended.error, PluginError)
