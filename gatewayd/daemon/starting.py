"""Reads the config that a daemon starts with."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gatewayd.config import log_of, running
from gatewayd.daemon.main_wait import newer
from gatewayd.errors import ConfigError
from gatewayd.registry.loading import Trials
from gatewayd.runtime import journal
from gatewayd.runtime.instance import enter

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd.config import Config

__all__ = ["first_config"]

#: Seconds for which a file has to be left alone before it counts as written, and how often it is read until then.
_SETTLED, _READINGS = 1.0, 10


def first_config(folder: Path) -> tuple[Config, float]:
    """Return the config and when it began to be read, as ``time.time`` has it.

    A file may be read while it is being written. So what changed just now is read once more, before the daemon gives up:
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
    # Before any plugin is imported: what lies in the config folder or was accepted once is not run as root.
    tries = Trials(say=journal.plugin_tried, importing=journal.plugin_imported, go_on=lambda: None)
    config = running(folder, enter=enter, tries=tries)
    # A plugin that is out of use, and that nobody needs, keeps nobody from anything.
    faulty = any(fault.file.startswith(("accounts", "operators")) for fault in config.faults)
    if faulty and not config.accounts:
        raise ConfigError("no account can run", faults=config.faults, advice="Correct these files; see `gatewayd check`.")
    return config
