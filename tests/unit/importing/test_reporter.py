"""The report of a visit: counts are summed, a problem is said once, and the first error stays."""

from __future__ import annotations

from gatewayd import Tally, TransientError
from gatewayd.importing.reporter import Reporter


def test_counts_are_summed_and_the_longest_wait_counts() -> None:
    reporter = Reporter("main", ["INBOX", "Sent"])
    for number in (1, 2):
        reporter.listed(number)
        reporter.settled(number)
        reporter.filed(Tally(filed=number))
        reporter.later(60.0 / number)
    reporter.proven("INBOX")
    report = reporter.report
    assert (report.listed, report.settled, report.tally, report.later) == (3, 3, Tally(filed=3), 60.0)
    assert report.unproven == ("Sent",)


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
