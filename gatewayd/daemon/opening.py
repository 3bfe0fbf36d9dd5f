"""Opens the daemon's store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.api.roles import Folders
from gatewayd.api.store import Store
from gatewayd.config import was_accepted
from gatewayd.runtime import journal
from gatewayd.runtime.instance import prepare

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd.config import Config

__all__ = ["open_store"]


def open_store(folder: Path, config: Config) -> Store:
    """Return the config's store, opened; ``folder`` is the config's. Raises ConfigError where it can't be used.

    A database that was lost is a new one to the store. The log tells, since all accounts begin anew then.
    """
    prepare(config.state)
    kind = config.registry.get(Store, config.store_kind)
    store = kind(config.store_options, place=Folders(config=folder, state=config.state))
    lost = was_accepted(config.state) and store.is_new()
    store.open()
    if lost:
        journal.store_new(state=str(config.state))
    return store
