"""Measures how everything is, for ``systemctl status`` and the metrics."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from gatewayd.errors import GatewaydError
from gatewayd.runtime import journal
from gatewayd.runtime.threads import WorkerThreads

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from gatewayd.api.store import Store
    from gatewayd.config import Config
    from gatewayd.daemon.alarms import Alarms
    from gatewayd.daemon.notify import Notifier
    from gatewayd.errors import Fault
    from gatewayd.runtime.metrics import Metrics

__all__ = ["StatusMeter"]

#: Seconds between two looks at all accounts, which are many.
_MEASURE = 15.0


class StatusMeter:
    """Used by the main thread. The store is asked in a thread of its own: it may keep that waiting."""

    def __init__(self, store: Store, metrics: Metrics, notifier: Notifier, alarms: Alarms) -> None:
        self._store = store
        self._metrics = metrics
        self._notifier = notifier
        self._alarms = alarms
        self._thread = WorkerThreads(1, "measuring")
        self._asked: Future[None] | None = None
        self._at = 0.0
        #: The accounts of the config, and what is wrong with its files.
        self._accounts: frozenset[str] = frozenset()
        self._faults: Sequence[Fault] = ()
        self._instead: frozenset[str] = frozenset()
        #: How many accounts have a fault, as was last known.
        self._faulty = 0
        self._said = ""

    def apply(self, config: Config, faults: Sequence[Fault], instead: frozenset[str]) -> None:
        """Take a config over: what is wrong with its files, and for which of them what was last accepted stands in."""
        self._accounts, self._faults, self._instead = frozenset(config.accounts), tuple(faults), instead
        self._say()

    def look(self) -> None:
        """Do what is due; called each second, and never waits."""
        if self._asked is None and time.monotonic() >= self._at:
            self._asked = self._thread.submit(self._measure)
        measured = self._asked is not None and self._asked.done()
        if measured:
            # Not sooner again than so many seconds after an answer, however long that took.
            self._asked, self._at = None, time.monotonic() + _MEASURE
        text = self._text()
        if measured or text != self._said:
            self._say()

    def close(self) -> None:
        """Ask nothing more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _say(self) -> None:
        self._said = self._text()
        self._notifier.status(self._said)

    def _text(self) -> str:
        """Return in one line how the daemon is, from what is known without the store."""
        store = next((one.alarm for one in self._alarms.standing() if one.alarm.kind == "store"), None)
        self._metrics.store(writable=store is None)
        files = {fault.file for fault in self._faults}
        told = {"faulty, so as last accepted": files & self._instead, "faulty": files - self._instead}
        number = len(self._accounts)
        wrong = [f"the store can't be written: {store.error}"] if store else []
        wrong += [f"{self._faulty} with a fault"] if self._faulty else []
        outdated = sum(one.alarm.kind == "directory" for one in self._alarms.standing())
        wrong += [f"{outdated} director{'y' if outdated == 1 else 'ies'} outdated or down"] if outdated else []
        wrong += [f"{what}: {', '.join(sorted(some))}" for what, some in told.items() if some]
        return ", ".join([f"{number} account{'' if number == 1 else 's'}", *(wrong or ["all well"])])

    # --- in its own thread --------------------------------------------------------------------------------------------

    def _measure(self) -> None:
        try:
            healths, lengths = self._store.healths(), self._store.lengths()
            living = {one.holder for one in self._store.daemons()}
        except GatewaydError:
            # The supervisor has said so already, and goes on trying.
            return
        except Exception as error:  # noqa: BLE001  a store's bug must not end the measuring
            journal.own_fault("measuring", error)
            return
        # The store remembers accounts that are no longer in the config.
        known = {*self._accounts, *(fault.file.removeprefix("accounts/").removesuffix(".yaml") for fault in self._faults)}
        ours = [one for one in healths if one.account in known]
        # A daemon that was killed visits nothing any more.
        self._metrics.told([one if one.holder in living else replace(one, working_since=None) for one in ours], lengths)
        self._faulty = sum(bool(one.error) for one in ours)
