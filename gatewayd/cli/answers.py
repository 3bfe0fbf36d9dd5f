"""The output of ``import``: a progress bar while visits run, then their results."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gatewayd.cli import output
from gatewayd.errors import GatewaydError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gatewayd.api.health import Answer
    from gatewayd.cli.app import App
    from gatewayd.importing.values import Progress

__all__ = ["ANSWER", "MANY", "answer_json", "answer_row", "progress_bar", "tell_answer"]

#: The columns of ``answer_row``.
ANSWER = ("account", "#listed", "#filed", "#duplicate", "#not admitted", "#vanished", "#deferred", "#settled")
#: Mails in error queues and waiting keys are counted up to this number.
MANY = 1000
#: At most so many causes are shown to people.
_CAUSES = 5


@contextmanager
def progress_bar() -> Iterator[Callable[[Progress], None]]:
    """Yield a function that draws progress on a terminal, and does nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415  imported late: only a terminal needs it
    from rich.progress import Progress as Bar  # noqa: PLC0415

    # Else rich would show on the terminal what is printed to standard output meanwhile, and nowhere else.
    with Bar(console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
        tasks = {}

        def show(progress: Progress) -> None:
            name = f"{progress.account} {output.clean(progress.folder)}"
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=progress.total)
            bar.update(tasks[name], completed=progress.done, total=progress.total)

        yield show


def answer_row(answer: Answer) -> Sequence[str]:
    """Return an answer's row of the table."""
    tally = answer.tally
    numbers = (answer.listed, tally.filed, tally.duplicate, tally.not_admitted, tally.vanished, tally.deferred, answer.settled)
    return (answer.account, *(str(number) for number in numbers))


def tell_answer(app: App, answer: Answer, queued: int | None) -> None:
    """Print notes, problems and the error of a visit, and what to do about mail that was not imported."""
    for text in (*answer.notes, *answer.problems):
        output.note(f"{answer.account}: {text}")
    if answer.error:
        output.error(GatewaydError(answer.error, advice=answer.advice), account=answer.account)
    if queued:
        many = f"{queued} or more" if queued >= MANY else str(queued)
        mails = f"{many} mail{'' if queued == 1 else 's'} of {answer.account} stand{'s' if queued == 1 else ''}"
        flag = " --all-operators" if len(app.config.operators) > 1 else ""
        output.note(f"{mails} in an error queue: gatewayd queue list{flag}")
    causes = _causes(app, answer)
    if causes:
        many = f"{output.count(answer.tally.deferred, 'message')} of {answer.account} could not be had or decided this time"
        who = (
            "by the daemon, after ten seconds and then ever more rarely" if app.daemons() else "by the next import, or by a daemon"
        )
        output.note(f"{many}. Nothing is lost: it waits here, and is tried again {who}.")
        for cause, number in causes[:_CAUSES]:
            output.note(f"  {number}: {cause}")
        output.note(f"  See `gatewayd audit {answer.account} --list waiting`.")


def _causes(app: App, answer: Answer) -> list[tuple[str, int]]:
    """Return the causes why messages wait, with their numbers, most frequent first; none if this visit deferred nothing."""
    if not answer.tally.deferred:
        return []
    waiting = app.store.entries(answer.account, "waiting", after=0, limit=MANY)
    return Counter(one.cause for one in waiting if one.cause).most_common()


def answer_json(app: App, answer: Answer) -> dict[str, output.Json]:
    """Return an answer as a line of JSON."""
    return {
        **output.fields(answer, "account", "listed"),
        **output.fields(answer.tally, "filed", "duplicate", "not_admitted", "vanished", "deferred"),
        **output.fields(answer, "settled"),
        "deferred_because": [cause for cause, _ in _causes(app, answer)],
        **output.fields(answer, "problems", "notes"),
        "error": answer.error or None,
        "advice": answer.advice if answer.error else None,
    }
