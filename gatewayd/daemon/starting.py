"""Read the config that a daemon starts with, and open its store."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gatewayd.api.roles import Folders
from gatewayd.api.store import Store
from gatewayd.config import log_of, running, was_accepted
from gatewayd.daemon.main_wait import newer
from gatewayd.errors import ConfigError, TransientError
from gatewayd.registry.loading import Trials
from gatewayd.runtime import journal
from gatewayd.runtime.instance import Instance, enter, prepare

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd.config import Config

__all__ = ["first_config", "new_instance", "open_store"]

#: Seconds for which a file has to be left alone before it counts as written, and how often it is read until then.
_SETTLED, _READINGS = 1.0, 10


def first_config(folder: Path) -> tuple[Config, float]:
    """Return the config and when it began to be read, as ``time.time`` has it.

    A file may be read while it is being written. So a folder that changed just now is read again before the daemon gives up, since
    nobody starts it again after a fault of the config. Raises ConfigError where ``gatewayd.yaml`` is faulty, or nothing
    can run.
    """
    for _ in range(_READINGS - 1):
        read_at = time.time()
        try:
            return _config(folder), read_at
        except ConfigError:
            if not newer((folder, folder / "operators", folder / "accounts"), time.time() - _SETTLED):
                raise
        time.sleep(_SETTLED / 2)
    read_at = time.time()
    return _config(folder), read_at


def _config(folder: Path) -> Config:
    log = log_of(folder)
    journal.configure(log.format, log.level)
    # ``enter`` gives up root before any plugin is imported from the config folder.
    tries = Trials(say=journal.plugin_tried, importing=journal.plugin_imported, go_on=lambda: None)
    config = running(folder, enter=enter, tries=tries)
    # A faulty plugin that nobody uses does not matter.
    faulty = any(fault.file.startswith(("accounts", "operators")) for fault in config.faults)
    if faulty and not config.accounts:
        raise ConfigError("no account can run", faults=config.faults, advice="Correct these files; see `gatewayd check`.")
    return config


def open_store(folder: Path, config: Config) -> Store:
    """Return the config's store, opened; ``folder`` is the config's. Raises ConfigError where it can't be used.

    If the database was lost, the store makes a new one. That is logged, since all accounts begin from the start then.
    """
    prepare(config.state)
    kind = config.registry.get(Store, config.store_kind)
    store = kind(config.store_options, place=Folders(config=folder, state=config.state))
    lost = was_accepted(config.state) and store.is_new()
    store.open()
    if lost:
        journal.store_new(state=str(config.state))
    return store


def new_instance(state: Path) -> Instance:
    """Return this daemon as a holder of leases. Raises TransientError where the state folder can't be written."""
    try:
        return Instance(state, "daemon")
    except OSError as error:
        advice = "Make the state folder writable for this user, and see that its disk is not full."
        raise TransientError(f"{state}: {error.strerror}", advice=advice) from error
