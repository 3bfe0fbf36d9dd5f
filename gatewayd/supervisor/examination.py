"""One order in worker processes: whom to blame where one dies or overruns, and how everybody else's results are kept.

All calls of an order go to one process. Where it ends in the middle of a call, what was found by then is kept, the guilty
call is made again apart, on halves until the guilty mail is found, and the calls behind it go on (promise P4).
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from gatewayd.custody import FilingFault
from gatewayd.errors import TransientError
from gatewayd.examine import Examination, Examined
from gatewayd.examine.matching import Admission, Said, findings, unmatched
from gatewayd.mail import BytesSource, parse
from gatewayd.supervisor.process import Died
from gatewayd.worker import Call, Ended, Labour, Next

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gatewayd.examine import Findings, Letter, Order
    from gatewayd.mail import Mail
    from gatewayd.supervisor.process import Process
    from gatewayd.supervisor.workers import Workers

__all__ = ["WorkersExamination"]

#: Seconds of waiting without a tick, and seconds after which a call has taken long.
_TICK, _LONG = 5.0, 1.0
#: How many processes may turn out to be dead when they are sent something.
_TRIES = 5


class _Failure(NamedTuple):
    """A process ended before its work was done."""

    #: What it was at; None: the parser.
    call: Call | None
    how: str
    overran: bool


class WorkersExamination(Examination):
    """See the module."""

    def __init__(self, workers: Workers, order: Order) -> None:
        self._workers = workers
        self._order = order
        self._letters = order.letters
        self._mails: tuple[Mail, ...] = ()
        #: Letters that no parser can bear, and why.
        self._unbearable: dict[int, str] = {}
        self._admissions: dict[int, Admission] = {}
        self._said: dict[Call, Said] = {}
        self._process: Process | None = None
        self._calls = tuple(self._wanted()) if order.letters else ()
        if order.letters:
            self._send(self._letters, self._calls)

    def _wanted(self) -> Iterator[Call]:
        for index, recipe in enumerate(self._order.recipes):
            if recipe.faulty:
                continue
            yield Call(index)
            for by, _ in recipe.matchers:
                if self._workers.breakers.may_call(recipe.operator.name, by):
                    yield Call(index, by)
                else:
                    text = "it is not called for now, because it failed in batch after batch; this is matched again by itself"
                    faults = tuple((one.id, FilingFault(by, text)) for one in self._order.letters)
                    self._said[Call(index, by)] = Said(faults=faults)

    # --- the two steps ------------------------------------------------------------------------------------------------

    def result(self, tick: Callable[[], None]) -> Examined:
        """See ``Examination``."""
        if not self._order.letters:
            return Examined(mails=(), findings=())
        try:
            self._finish(tick)
        except BaseException:
            self.drop()
            raise
        self._tell_breakers()
        return Examined(mails=tuple(self._views()), findings=tuple(self._findings()))

    def drop(self) -> None:
        """See ``Examination``."""
        process, self._process = self._process, None
        if process is not None:
            self._workers.discard(process)
        for call in self._calls:
            if call.by:
                self._workers.breakers.given_up(self._order.recipes[call.recipe].operator.name, call.by)

    def _finish(self, tick: Callable[[], None]) -> None:
        calls, parser_failed = self._calls, False
        while (failure := self._listen(calls, tick)) is not None:
            self._told(failure)
            if failure.call is not None:
                calls = calls[calls.index(failure.call) + 1 :]
                self._apart(failure.call, failure, tick)
                calls = tuple(call for call in calls if not self._undecided(call.recipe))
            elif parser_failed or failure.overran:
                self._find_unbearable(tick)
            else:
                # It may have been killed from outside: once more.
                parser_failed = True
            self._send(self._letters, calls, tick=tick)

    def _undecided(self, recipe: int) -> bool:
        return bool(self._admissions.get(recipe, Admission()).undecided)

    def _views(self) -> Iterator[Mail]:
        had = {mail.id: mail for mail in self._mails}
        for one in self._order.letters:
            if one.id in had:
                yield had[one.id]
            else:
                empty = parse(BytesSource(b""), mail_id=one.id, received_at=one.received_at)
                yield replace(empty, source=one.source, faults=(f"it can't be read: {self._unbearable.get(one.id, '')}",))

    def _findings(self) -> Iterator[Findings]:
        ids = [one.id for one in self._order.letters]
        for index, recipe in enumerate(self._order.recipes):
            spoilt = unmatched(recipe, ids, self._order.contact_types)
            admission = self._admissions.get(index, Admission())
            said = {by: self._said.get(Call(index, by), Said()) for by, _ in recipe.matchers}
            admitted = [one for one in ids if one not in admission.refused]
            yield spoilt or findings(recipe.operator.name, admitted, admission, said)

    def _tell_breakers(self) -> None:
        for call in self._calls:
            if not call.by:
                continue
            operator = self._order.recipes[call.recipe].operator.name
            faulty = any(fault.by == call.by for _, fault in self._said.get(call, Said()).faults)
            changed = self._workers.breakers.told(operator, call.by, faulty=faulty)
            if changed:
                self._workers.events.breaker(operator, call.by, changed)

    # --- one process ------------------------------------------------------------------------------------------------

    def _send(
        self, letters: Sequence[Letter], calls: tuple[Call, ...], *, tick: Callable[[], None] = lambda: None, views: bool = True
    ) -> None:
        labour = Labour(
            letters=tuple(letters),
            recipes=tuple(self._workers.sealed(recipe) for recipe in self._order.recipes),
            contact_types=self._order.contact_types,
            calls=calls,
            refused={index: admission.refused for index, admission in self._admissions.items()},
            views=views,
        )
        for left in reversed(range(_TRIES)):
            self._process = self._workers.take(tick)
            try:
                self._process.send(labour)
            except Died as died:
                # It died while it was idle.
                self._workers.discard(self._process)
                if not left:
                    raise TransientError(f"no worker process can be had: {died}", advice="See the log of the workers.") from died
            else:
                return

    def _listen(self, calls: Sequence[Call], tick: Callable[[], None]) -> _Failure | None:
        """Take in what the process finds out, until it is done; return why it is not."""
        process = self._process
        if process is None:
            raise RuntimeError("nothing was sent")
        call: Call | None = None
        try:
            while True:
                reply = self._reply(process, tick)
                if reply is None:
                    return self._failed(call, f"no answer within {self._workers.config.deadline:g} s", overran=True)
                if isinstance(reply, Ended):
                    self._mails = reply.mails or self._mails
                    break
                self._take_in(call, reply.result)
                call = None if reply.call is None else calls[reply.call]
        except Died as died:
            return self._failed(call, f"its process ended: {died}", overran=False)
        self._process = None
        self._workers.give_back(process)
        return None

    def _failed(self, call: Call | None, how: str, *, overran: bool) -> _Failure:
        process, self._process = self._process, None
        if process is not None:
            self._workers.discard(process)
        return _Failure(call, how, overran)

    def _reply(self, process: Process, tick: Callable[[], None]) -> Next | Ended | None:
        started = ticked = time.monotonic()
        while True:
            reply = process.receive(_LONG)
            now = time.monotonic()
            if reply is not None or now - started >= self._workers.config.deadline:
                return reply
            if not process.overdue:
                self._workers.slow(process)
            if now - ticked >= _TICK:
                ticked = now
                tick()

    def _take_in(self, call: Call | None, result: Admission | Said | None) -> None:
        if call is None or result is None:
            return
        if isinstance(result, Admission):
            self._admissions[call.recipe] = result
        else:
            before = self._said.get(call, Said())
            self._said[call] = Said(before.found + result.found, before.faults + result.faults)

    # --- whom to blame ------------------------------------------------------------------------------------------------

    def _apart(self, call: Call, failure: _Failure, tick: Callable[[], None]) -> None:
        """Make the guilty call again, on halves until the guilty mails are found, within the budget."""
        if not call.by:
            why = f"admission: {failure.how}"
            self._admissions[call.recipe] = Admission(undecided=why) if self._order.contact_types else Admission(broken=why)
            return
        until = time.monotonic() + self._workers.config.budget
        # A process that died may have been killed from outside: then the whole batch goes well.
        parts = self._halves(self._letters) if failure.overran else [self._letters]
        how = failure.how
        while parts:
            part = parts.pop()
            if time.monotonic() > until or not part:
                self._blame(call, part, how)
                continue
            self._send(part, (call,), tick=tick, views=False)
            failed = self._listen((call,), tick)
            if failed is None:
                continue
            self._told(failed)
            how = failed.how
            if len(part) == 1:
                self._blame(call, part, how)
            else:
                parts += reversed(self._halves(part))

    def _blame(self, call: Call, letters: Sequence[Letter], how: str) -> None:
        faults = tuple((one.id, FilingFault(call.by, how)) for one in letters)
        self._take_in(call, Said(faults=faults))

    def _find_unbearable(self, tick: Callable[[], None]) -> None:
        """Find the letters that end the parser, and go on without them; raises TransientError where it is none of them."""
        self._send((), (), tick=tick, views=False)
        failed = self._listen((), tick)
        if failed is not None:
            raise TransientError(f"worker processes end as soon as they begin: {failed.how}", advice="See what they logged.")
        parts = self._halves(self._letters)
        while parts:
            part = parts.pop()
            self._send(part, (), tick=tick, views=False)
            failed = self._listen((), tick)
            if failed is None:
                continue
            self._told(failed)
            if len(part) == 1:
                self._unbearable[part[0].id] = failed.how
            else:
                parts += reversed(self._halves(part))
        self._letters = tuple(one for one in self._letters if one.id not in self._unbearable)

    @staticmethod
    def _halves(letters: Sequence[Letter]) -> list[tuple[Letter, ...]]:
        half = (len(letters) + 1) // 2
        return [part for part in (tuple(letters[:half]), tuple(letters[half:])) if part]

    def _told(self, failure: _Failure) -> None:
        operator = self._order.recipes[failure.call.recipe].operator.name if failure.call else ""
        self._workers.events.ended(operator, failure.call.by if failure.call else "", failure.how)
