"""The report of a visit: counts are summed, a problem is said once, and the first error stays."""

from __future__ import annotations

import pytest

from gatewayd import Action, Tally, TransientError
from gatewayd.importing.proof import Proof
from gatewayd.importing.reporter import Reporter


def test_counts_are_summed_and_the_longest_wait_counts() -> None:
    reporter = Reporter("main", ["INBOX", "Sent"])
    for number in (1, 2):
        reporter.listed(number)
        reporter.settled(number)
        reporter.filed(Tally(filed=number))
        reporter.later(60.0 / number)
    report = reporter.report
    assert (report.listed, report.settled, report.tally, report.later) == (3, 3, Tally(filed=3), 60.0)


@pytest.mark.parametrize(("after", "left"), [(None, ""), (Action(do="seen"), "; nothing is done to mail there in this visit")])
def test_a_folder_of_which_nothing_is_in_doubt_is_proven(after: Action | None, left: str) -> None:
    reporter = Reporter("main", ["INBOX", "Sent"])
    for folder in ("INBOX", "Sent"):
        proof = Proof(None)
        if folder == "Sent":
            proof.doubt("one is missing")
        reporter.checked(folder, proof, after=after)
    assert reporter.report.unproven == ("Sent",)
    assert reporter.report.problems == (f"Sent: one is missing{left}",)


def test_a_problem_is_said_once_and_each_note() -> None:
    reporter = Reporter("main", ["INBOX"])
    for _ in range(2):
        reporter.problem("INBOX: no such folder")
        reporter.note("row 7")
    assert (reporter.report.problems, reporter.report.notes) == (("INBOX: no such folder",), ("row 7", "row 7"))


def test_the_error_that_came_first_ended_the_visit() -> None:
    reporter = Reporter("main", ["INBOX"])
    reporter.fail(TransientError("connection lost"))
    reporter.fail(TransientError("not closed"))
    assert str(reporter.report.error) == "connection lost"
