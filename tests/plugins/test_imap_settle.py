"""Settling on IMAP servers that lack or refuse something, played by a small scripted server over a real socket."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from gatewayd import Action, GatewaydError, Listed, PermanentError, Spool, TransientError
from tests.plugins.imap_script import OPENED, Script, session

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("do", ["move", "delete"])
def test_P3_without_move_and_uidplus_nothing_is_moved_or_deleted(tmp_path: Path, do: str) -> None:
    action = Action.parse(f"{do} Imported" if do == "move" else do)
    script = Script({"CAPABILITY": b"* CAPABILITY IMAP4rev1\r\n"})
    with session(script, tmp_path) as opened:
        with pytest.raises(PermanentError, match="UIDPLUS"):
            opened.settle("INBOX", ["7:1"], action)
        (problem,) = opened.problems(["INBOX"], action)
    assert "UIDPLUS" in problem
    assert script.asked("STORE|EXPUNGE|MOVE|COPY") == []


def test_moving_without_move_copies_and_expunges_those_alone(tmp_path: Path) -> None:
    script = Script({"CAPABILITY": b"* CAPABILITY IMAP4rev1 UIDPLUS\r\n"})
    with session(script, tmp_path) as opened:
        opened.settle("INBOX", ["7:3", "7:1", "7:2"], Action(do="move", folder='Done "2026"'))
    assert script.asked("^UID") == [
        'UID COPY 1:3 "Done \\"2026\\""',
        "UID STORE 1:3 +FLAGS.SILENT (\\Deleted)",
        "UID EXPUNGE 1:3",
    ]
    assert script.asked("^(CLOSE|EXPUNGE)") == []


@pytest.mark.parametrize(
    ("capabilities", "replies", "copied"),
    [
        ("", {"SELECT": OPENED + b"* OK [PERMANENTFLAGS (\\Seen)] limited\r\n"}, False),
        ("", {"SELECT": OPENED + b"* OK [PERMANENTFLAGS ()] none\r\n"}, False),
        ("", {"SELECT": OPENED + b"* OK [PERMANENTFLAGS (\\Seen \\DELETED)] most\r\n"}, True),
        (" ACL", {"MYRIGHTS": b"* MYRIGHTS INBOX lrswi\r\n"}, False),
        (" ACL", {"MYRIGHTS": b"* MYRIGHTS INBOX lrswit\r\n"}, False),
        (" ACL", {"MYRIGHTS": b"* MYRIGHTS INBOX lrswited\r\n"}, True),
        (" ACL", {"MYRIGHTS": b"* MYRIGHTS INBOX lrswid\r\n"}, True),
        (" ACL", {"MYRIGHTS": b"TAG NO none\r\n"}, True),
        (" ACL", {"MYRIGHTS": b"TAG BAD what\r\n"}, True),
        (" ACL", {}, True),
    ],
)
def test_what_may_not_be_deleted_is_not_copied_time_and_again(
    tmp_path: Path, capabilities: str, replies: dict[str, bytes], *, copied: bool
) -> None:
    told = f"* CAPABILITY IMAP4rev1 UIDPLUS{capabilities}\r\n".encode()
    with session(script := Script({"CAPABILITY": told, **replies}), tmp_path) as opened:
        for _ in range(2):
            with nullcontext() if copied else pytest.raises(PermanentError, match="can't be moved"):
                opened.settle("INBOX", ["7:1"], Action(do="move", folder="Done"))
    assert len(script.asked("UID COPY")) == (2 if copied else 0)


ONE_BY_ONE = {"CAPABILITY": b"* CAPABILITY IMAP4rev1 UIDPLUS\r\n"}


@pytest.mark.parametrize(("there", "error"), [(b"* 1 FETCH (UID 2)\r\n", True), (b"", False)])
def test_P3_what_the_server_says_it_did_not_copy_is_not_deleted(tmp_path: Path, there: bytes, *, error: bool) -> None:
    script = Script({**ONE_BY_ONE, "UID COPY": b"TAG OK [COPYUID 9 1,3 20:21] done\r\n", "UID FETCH": there})
    raised = pytest.raises(TransientError, match="did not copy 1 messages") if error else nullcontext()
    with session(script, tmp_path) as opened, raised:
        opened.settle("INBOX", ["7:1", "7:2", "7:3"], Action(do="move", folder="Done"))
    assert script.asked("STORE|EXPUNGE") == ["UID STORE 1,3 +FLAGS.SILENT (\\Deleted)", "UID EXPUNGE 1,3"]


@pytest.mark.parametrize("told", [b"9 3:1 20:22", b"9 1:9 20:28", b"9 7 20", b"9 1:x 20", b"9", b"9 1,1,1,1 20:23", b""])
def test_a_copyuid_that_names_all_or_makes_no_sense_keeps_no_copy_back(tmp_path: Path, told: bytes) -> None:
    with session(script := Script({**ONE_BY_ONE, "UID COPY": b"TAG OK [COPYUID " + told + b"] done\r\n"}), tmp_path) as opened:
        opened.settle("INBOX", ["7:1", "7:2", "7:3"], Action(do="move", folder="Done"))
    assert script.asked("STORE|EXPUNGE")[-1:] == ["UID EXPUNGE 1:3"]


@pytest.mark.parametrize(
    ("command", "answer", "expected"),
    [
        ("UID MOVE", b"NO [OVERQUOTA] full", TransientError),
        ("UID MOVE", b"NO [TRYCREATE] none", PermanentError),
        ("UID MOVE", b"NO none", PermanentError),
        ("SELECT", b"OK [READ-ONLY] only for reading", PermanentError),
    ],
)
def test_what_a_refused_move_means(tmp_path: Path, command: str, answer: bytes, expected: type[GatewaydError]) -> None:
    script = Script({command: (OPENED if command == "SELECT" else b"") + b"TAG " + answer + b"\r\n"})
    with session(script, tmp_path) as opened, pytest.raises(expected):
        opened.settle("INBOX", ["7:1"], Action(do="move", folder="Imported"))


def test_a_refused_flag_is_tried_again(tmp_path: Path) -> None:
    with session(Script({"UID STORE": b"TAG NO busy\r\n"}), tmp_path) as opened, pytest.raises(TransientError, match="busy"):
        opened.settle("INBOX", ["7:1"], Action(do="seen"))


class Picky(Script):
    """A server that refuses a command for all where one message of it can't be had."""

    broken = 77
    refusal = b"NO [SERVERBUG] Internal error"
    done: set[int] = set()  # noqa: RUF012  one server at a time

    def reply(self, tag: bytes, command: str) -> bytes:
        if not command.startswith(("UID MOVE", "UID STORE", "UID COPY")):
            return super().reply(tag, command)
        self.heard.append(command)
        runs = [run.partition(":") for run in command.split()[2].split(",")]
        named = {uid for first, _, last in runs for uid in range(int(first), int(last or first) + 1)}
        if self.broken in named:
            return tag + b" " + self.refusal + b"\r\n"
        self.done |= named
        return tag + b" OK done\r\n"


@pytest.mark.parametrize("action", ["seen", "delete", "move Imported"])
@pytest.mark.parametrize("capability", [b"UIDPLUS", b"UIDPLUS MOVE"])
@pytest.mark.parametrize("broken", [77, 201])
def test_P4_a_message_that_the_server_refuses_keeps_no_other_from_being_settled(
    tmp_path: Path, action: str, capability: bytes, broken: int
) -> None:
    script = Picky({"CAPABILITY": b"* CAPABILITY IMAP4rev1 " + capability + b"\r\n"})
    script.broken, script.done = broken, set()
    keys = [f"7:{uid}" for uid in range(1, 202)]
    with session(script, tmp_path) as opened, pytest.raises(PermanentError, match=r"Internal error.*: 1 of 201 messages"):
        opened.settle("INBOX", keys, Action.parse(action))
    assert script.done == set(range(1, 202)) - {broken}


def test_P8_a_server_that_refuses_all_is_not_asked_for_each_message(tmp_path: Path) -> None:
    with session(script := Script({"UID MOVE": b"TAG NO none\r\n"}), tmp_path) as opened, pytest.raises(PermanentError):
        opened.settle("INBOX", [f"7:{uid}" for uid in range(1, 201)], Action(do="move", folder="Imported"))
    assert len(script.asked("UID MOVE")) == 10


def test_P3_reading_after_settling_opens_the_folder_read_only_again(tmp_path: Path) -> None:
    replies = {"UID FETCH": b"* 1 FETCH (UID 1 BODY[] {1}\r\nx)\r\n"}
    listed = [Listed("7:1", 1)]
    with session(script := Script(replies), tmp_path) as opened, Spool(tmp_path / "spool") as spool:
        assert len(list(opened.fetch("INBOX", listed, spool))) == 1
        opened.settle("INBOX", ["7:1"], Action(do="seen"))
        assert len(list(opened.fetch("INBOX", listed, spool))) == 1
    assert [command.split()[0] for command in script.asked("SELECT|EXAMINE")] == ["EXAMINE", "SELECT", "EXAMINE"]


def test_folder_names_that_no_one_can_read_do_not_hide_the_problem(tmp_path: Path) -> None:
    script = Script({"EXAMINE": b"TAG NO none\r\n", "LIST": b'* LIST () "/" "A &AA- B"\r\n'})
    with session(script, tmp_path) as opened:
        (problem,) = opened.problems(["Inbx"], None)
    assert "no folder Inbx" in problem
    assert "the server names none" in problem


def test_P3_what_is_owed_under_numbers_of_before_stays_owed(tmp_path: Path) -> None:
    script = Script()
    with session(script, tmp_path) as opened, pytest.raises(TransientError, match="was renumbered"):
        opened.settle("INBOX", ["7:1", "6:2"], Action(do="delete"))
    assert script.asked("STORE|EXPUNGE|MOVE") == []
