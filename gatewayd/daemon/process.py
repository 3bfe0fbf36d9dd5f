"""Run the daemon from start to stop: wire the rooms together, then wait for signals and changed files.

Everything that is opened lies on one stack, so that it is closed in reverse order whatever happens.
"""

from __future__ import annotations

import gc
import time
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from gatewayd import __version__
from gatewayd.api.health import DaemonHealth
from gatewayd.config import accept, changes, consents_of, fingerprint_of, kept, right_faults, running
from gatewayd.config.main import FILE as MAIN
from gatewayd.config.signing_key import load_signer
from gatewayd.daemon.alarms import Alarms
from gatewayd.daemon.directory_watcher import DirectoryWatcher
from gatewayd.daemon.event_reporting import DaemonEvents
from gatewayd.daemon.indexing import Indexing
from gatewayd.daemon.main_wait import Early, MainWait
from gatewayd.daemon.metrics_serving import MetricsServing
from gatewayd.daemon.notices import Notices
from gatewayd.daemon.observers import Observers
from gatewayd.daemon.rename_finishing import RenameFinishing
from gatewayd.daemon.rpc_serving import RpcServing
from gatewayd.daemon.secret_watcher import SecretWatcher
from gatewayd.daemon.starting import first_config, new_instance, open_store
from gatewayd.daemon.status_summary import StatusMeter
from gatewayd.daemon.systemd import Notifier
from gatewayd.daemon.user_accounts import UserAccounts
from gatewayd.daemon.user_keeping import UserKeeping
from gatewayd.errors import ConfigError, Fault
from gatewayd.matching import specs
from gatewayd.matching.worker_matching import WorkerMatching
from gatewayd.outgoing.dispatcher import Dispatcher
from gatewayd.outgoing.routing import Rate, Router
from gatewayd.registry.loading import Trials
from gatewayd.runtime import journal
from gatewayd.runtime.metrics import Metrics
from gatewayd.runtime.threads import started
from gatewayd.scheduler import Dependencies, Supervisor
from gatewayd.scheduler.rematching import Rematcher
from gatewayd.scheduler.verdict_correction import Corrector

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd.config import Config

__all__ = ["Daemon"]

#: Seconds until everything has ended. Whatever hangs is left behind, and the next start does its work.
_STOP = 4.0
#: Seconds between two checks of everything.
_LOOK = 1.0


class _Ended(Exception):
    """A signal says to end, in the middle of a reload."""


class Daemon:
    """One daemon on one config folder."""

    def __init__(self, folder: Path) -> None:
        """Read the config. Raises ConfigError where ``gatewayd.yaml`` is faulty, or nothing can run."""
        self._folder = folder
        # Reading the config may take a while, since it imports plugins.
        self._early = Early()
        #: What runs, and what the files say of it.
        self._config, self._read_at = first_config(folder)
        self._by_files = self._config
        self._notifier = Notifier()
        self._metrics = Metrics(version=__version__)
        #: The faults of the config folder at the last reload.
        self._faults: tuple[Fault, ...] = self._config.faults
        self._refused = False  # the last reload, as a whole
        self._started_at = datetime.now(UTC)

    def run(self) -> None:
        """Run until a signal says to end; raises StoreReplaced if the database was replaced by another."""
        journal.configure(self._config.log.format, self._config.log.level)
        with MainWait(self._read_at, self._early) as waiting, ExitStack() as stack:
            self._open(stack)
            self._notifier.ready()
            # Not before, since that takes a while for thousands of files.
            self._keep(self._config)
            journal.config_exposed(right_faults(self._config))
            # Objects that exist by now stay for good; the collector need not look at them again.
            gc.collect()
            gc.freeze()
            for event in waiting.events(lambda: self._config, _LOOK):
                if event == "reload":
                    self._reload(waiting)
                self._look()
                if self._supervisor.replaced:
                    break
            journal.daemon_stopping(why="the database was replaced" if self._supervisor.replaced else waiting.why)
            self._notifier.stopping()
            began = time.monotonic()
            self._dispatcher.halt()
            abandoned = self._supervisor.stop(_STOP)
        journal.daemon_stopped(seconds=time.monotonic() - began, abandoned=abandoned)
        if self._supervisor.replaced:
            raise self._supervisor.replaced

    # --- start --------------------------------------------------------------------------------------------------------

    def _open(self, stack: ExitStack) -> None:
        config = self._config
        self._store = stack.enter_context(closing(open_store(self._folder, config)))
        self._instance = stack.enter_context(new_instance(config.state))
        self._signer = load_signer(config.signing_key, config.state)
        self._rate = Rate(config.limits.forwards_per_hour, per_sender=config.limits.forwards_per_sender)
        self._observers = stack.enter_context(closing(Observers(config.registry, dropped=self._metrics.dropped)))
        self._alarms = Alarms()
        self._events = DaemonEvents(self._metrics, self._observers, self._alarms)
        self._status_meter = stack.enter_context(closing(StatusMeter(self._store, self._metrics, self._notifier, self._alarms)))
        self._notices = stack.enter_context(closing(Notices(self._alarms)))
        self._workers = stack.enter_context(closing(WorkerMatching(config.registry, config.workers, self._events)))
        self._watch_directories(stack)
        self._rematcher = self._events.rematcher = Rematcher(self._store, self._workers)
        stack.callback(self._rematcher.stop, 0.5)
        self._dispatcher = self._events.dispatcher = Dispatcher(self._store, self._instance, self._events)
        stack.callback(self._dispatcher.stop, _STOP / 4)
        self._serving = stack.enter_context(closing(MetricsServing(self._metrics, config.metrics)))
        self._serving.look()
        self._rpc = stack.enter_context(closing(RpcServing(self._store, self._workers)))
        self._supervisor = Supervisor(self._dependencies(config))
        self._users = stack.enter_context(closing(UserKeeping(self._store)))
        self._user_accounts = stack.enter_context(closing(UserAccounts(self._store)))
        renames = RenameFinishing(self._store, self._instance.dead, self._supervisor.hurry)
        self._renames = stack.enter_context(closing(renames))
        self._secrets = SecretWatcher(self._instance, self._supervisor.retry, self._dispatcher.retry, self._notices.retry)
        stack.callback(self._secrets.stop)
        self._corrector = self._events.corrector = Corrector(
            self._store, self._workers, self._instance.name, self._supervisor.hurry, self._events
        )
        stack.callback(self._corrector.stop, 0.5)
        stack.enter_context(closing(Indexing(self._store)))
        self._take_over(config, first=True)
        self._status_meter.apply(self._config, self._faults, self._standing_in())

    def _watch_directories(self, stack: ExitStack) -> None:
        folders = DirectoryWatcher(lambda: self._workers.directories.folders, self._workers.directories.touched)
        stack.callback(folders.stop)
        started(folders.run, "folders")

    def _dependencies(self, config: Config) -> Dependencies:
        """Return what the supervisor works with."""
        return Dependencies(
            store=self._store,
            instance=self._instance,
            matching=self._workers,
            limits=config.limits,
            daemon=self._health,
            events=self._events,
        )

    def _health(self, accounts: int) -> DaemonHealth:
        """Return this daemon's health."""
        standing_in = self._standing_in()
        return DaemonHealth(
            holder=self._instance.name,
            version=__version__,
            started_at=self._started_at,
            accounts=accounts,
            workers=self._workers.count,
            worker_deaths=self._workers.deaths,
            open_breakers=tuple(f"{operator}/{by}" for operator, by in self._workers.breakers.open()),
            open_targets=self._rate.open(),
            config_faults=tuple(
                f"{fault}; it runs as last accepted" if fault.file in standing_in else str(fault) for fault in self._faults
            ),
        )

    # --- reload -------------------------------------------------------------------------------------------------------

    def _go_on(self, waiting: MainWait) -> None:
        """Show that we live while a plugin is tried; raises _Ended if a signal says to end."""
        self._alive()
        if waiting.ended:
            raise _Ended

    def _reload(self, waiting: MainWait) -> None:
        """Take a changed config over. If ``gatewayd.yaml`` itself is faulty, everything goes on as before."""
        self._notifier.reloading()
        try:
            tries = Trials(say=journal.plugin_tried, importing=journal.plugin_imported, go_on=partial(self._go_on, waiting))
            found = running(self._folder, self._config, tries=tries)
        except _Ended:
            return
        except ConfigError as error:
            self._faults = error.faults or (Fault(file=MAIN, what=error.sentences),)
            self._refused = True
            journal.config_refused(error, error.faults)
        except Exception as error:  # noqa: BLE001  whatever is in the folder now, the daemon goes on
            journal.own_fault("config", error)
        else:
            difference = changes(self._config, found)
            if self._config.registry.files != found.registry.files:
                self._observers.replace(found.registry)
            if self._config.log != found.log:
                journal.configure(found.log.format, found.log.level)
            if difference.restart:
                journal.config_waits_for_restart(difference.restart)
            self._take_over(kept(self._config, found), first=False)
            for name in difference.operators_changed:
                # It has other matchers now: mail that was filed while a breaker was open is matched again.
                for by in self._workers.breakers.forget(name):
                    self._events.breaker_changed(name, by, "closed")
        # `systemctl status` shows the result at once.
        self._status_meter.apply(self._config, self._faults, self._standing_in())
        self._notifier.ready()

    def _take_over(self, by_files: Config, *, first: bool, refused: bool = False) -> None:
        store = self._store
        self._users.apply(by_files)
        self._renames.apply(by_files)
        # Of users who have just left none are there any more.
        self._by_files, self._config = by_files, self._user_accounts.added(by_files)
        config = self._config
        # What is told of a refused reload stays.
        self._faults, self._refused = self._faults if refused else config.faults, refused
        # Before any account logs in by what it has.
        consents_of(config, lambda: store)
        made, router = specs(config), Router(config, self._signer, store.inheritable, self._rate, origins=store.origins)
        self._workers.apply(config.registry, made, config.workers)
        (self._supervisor.start if first else self._supervisor.apply)(config, made, router)
        fingerprints = {name: fingerprint_of(one, config.registry) for name, one in config.operators.items() if not one.faulty}
        self._rematcher.apply(config, made, fingerprints, router)
        self._corrector.apply(config, made, router)
        self._dispatcher.apply(config)
        self._rpc.apply(config, made, router)
        self._rpc.look()
        self._notices.apply(config)
        self._secrets.apply(config)
        if not first:
            self._keep(config)
        self._events.config_loaded(config)
        if first:
            journal.daemon_started(
                owner=self._instance.name, version=__version__, accounts=len(config.accounts), workers=config.workers.processes
            )

    @staticmethod
    def _keep(config: Config) -> None:
        """Keep the sound files of the config, for a later start with faulty ones."""
        try:
            accept(config)
        except OSError as error:
            journal.own_fault("config", error)

    # --- every second -------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        self._alive()
        self._rematcher.look()
        self._serving.look()
        self._rpc.look()
        self._metrics.workers(self._workers.count)
        self._metrics.directories(self._workers.directories.healths())
        self._status_meter.look()
        self._notices.look()
        self._users.look()
        if self._user_accounts.look():
            # A gatewayd.yaml that was refused is refused still.
            self._take_over(self._by_files, first=False, refused=self._refused)
            self._status_meter.apply(self._config, self._faults, self._standing_in())
        self._renames.look()

    def _standing_in(self) -> frozenset[str]:
        return frozenset((*self._config.standing_in, *([MAIN] if self._refused else [])))

    def _alive(self) -> None:
        if self._supervisor.alive() and self._dispatcher.alive():
            self._notifier.watchdog()
