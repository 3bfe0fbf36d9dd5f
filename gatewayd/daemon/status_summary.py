"""Sum up how the daemon and its accounts are, for ``systemctl status`` and the metrics."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gatewayd.config.secret_days import ends_soon, expiries
from gatewayd.errors import GatewaydError
from gatewayd.runtime import journal
from gatewayd.runtime.threads import WorkerThreads

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Future
    from datetime import date

    from gatewayd.api.expiry import Expiry
    from gatewayd.api.store import Store
    from gatewayd.config import Config
    from gatewayd.daemon.alarms import Alarms
    from gatewayd.daemon.systemd import Notifier
    from gatewayd.errors import Fault
    from gatewayd.runtime.metrics import Metrics

__all__ = ["StatusMeter"]

#: Seconds between two looks at all accounts, which are many.
_MEASURE = 15.0


class StatusMeter:
    """Used by the main thread. A thread of its own asks the store, which may keep it waiting."""

    def __init__(self, store: Store, metrics: Metrics, notifier: Notifier, alarms: Alarms) -> None:
        self._store = store
        self._metrics = metrics
        self._notifier = notifier
        self._alarms = alarms
        self._thread = WorkerThreads(1, "measuring")
        self._measuring: Future[None] | None = None
        self._at = 0.0
        #: The accounts of the config, and what is wrong with its files.
        self._accounts: frozenset[str] = frozenset()
        self._config: Config | None = None
        #: The secrets that were told of as ending, and the day on which they were.
        self._ending: tuple[date, Mapping[str, Expiry]] | None = None
        self._faults: Sequence[Fault] = ()
        self._standing_in: frozenset[str] = frozenset()
        #: How many accounts had a fault when they were counted last.
        self._faulty = 0
        self._shown = ""

    def apply(self, config: Config, faults: Sequence[Fault], standing_in: frozenset[str]) -> None:
        """Take a config over, with its faults; files of ``standing_in`` run as they were last accepted."""
        self._config = config
        self._accounts, self._faults, self._standing_in = frozenset(config.accounts), tuple(faults), standing_in
        self._show(self._text())

    def look(self) -> None:
        """Do what is due; called each second, and never waits."""
        if self._measuring is None and time.monotonic() >= self._at:
            self._measuring = self._thread.submit(self._measure, self._config)
        measured = self._measuring is not None and self._measuring.done()
        if measured:
            # The pause begins with the answer, however long that took.
            self._measuring, self._at = None, time.monotonic() + _MEASURE
        text = self._text()
        if measured or text != self._shown:
            self._show(text)

    def close(self) -> None:
        """Stop asking the store."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _show(self, text: str) -> None:
        self._shown = text
        self._notifier.status(text)

    def _text(self) -> str:
        """Return in one line how the daemon is. The store is not asked."""
        store = next((one.alarm for one in self._alarms.standing() if one.alarm.kind == "store"), None)
        self._metrics.store(writable=store is None)
        files = {fault.file for fault in self._faults}
        by_state = {"faulty, so as last accepted": files & self._standing_in, "faulty": files - self._standing_in}
        number = len(self._accounts)
        wrong = [f"the store can't be written: {store.error}"] if store else []
        wrong += [f"{self._faulty} with a fault"] if self._faulty else []
        outdated = sum(one.alarm.kind == "directory" for one in self._alarms.standing())
        wrong += [f"{outdated} director{'y' if outdated == 1 else 'ies'} outdated or down"] if outdated else []
        wrong += [f"{what}: {', '.join(sorted(some))}" for what, some in by_state.items() if some]
        return ", ".join([f"{number} account{'' if number == 1 else 's'}", *(wrong or ["all well"])])

    # --- in its own thread --------------------------------------------------------------------------------------------

    def _measure(self, config: Config | None) -> None:
        try:
            if config is not None:
                self._look_at_secrets(config)
            healths, lengths = self._store.healths(), self._store.lengths()
            living = {one.holder for one in self._store.daemons()}
        except GatewaydError:
            # The supervisor reports that, and tries again.
            return
        except Exception as error:  # noqa: BLE001  a store's bug must not end the measuring
            journal.own_fault("measuring", error)
            return
        # The store has accounts that are no longer in the config.
        known = {*self._accounts, *(fault.file.removeprefix("accounts/").removesuffix(".yaml") for fault in self._faults)}
        ours = [one for one in healths if one.account in known]
        # Visits of a daemon that was killed do not go on.
        self._metrics.told([one if one.holder in living else replace(one, working_since=None) for one in ours], lengths)
        # An account whose file is faulty is named by its file.
        self._faulty = sum(bool(one.error) for one in ours if one.account in self._accounts)

    def _look_at_secrets(self, config: Config) -> None:
        """Log the secrets that end soon, once a day and whenever the config names others; and set the metric."""
        today = datetime.now(UTC).date()
        known = expiries(config)
        soon = {name: one for name, one in known.items() if ends_soon(one, today)}
        if (today, soon) != self._ending:
            self._ending = (today, soon)
            for name, one in sorted(soon.items()):
                journal.credential_ends(name, day=one.day, advice=f"{one.advice[:1].upper()}{one.advice[1:]}")
        self._metrics.secret(min((one.day for one in known.values()), default=None))
