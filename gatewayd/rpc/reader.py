"""What a process has that only reads, such as that of the pages: config, store and desk as they are now, and the daemon to ask."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from gatewayd import config
from gatewayd.access.people import person_of
from gatewayd.api.roles import Folders
from gatewayd.api.store import Store
from gatewayd.desk import Desk
from gatewayd.errors import GatewaydError, PermanentError
from gatewayd.rpc.client import DaemonClient
from gatewayd.runtime import journal
from gatewayd.runtime.threads import started

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Self

    from gatewayd.access.people import Person
    from gatewayd.config import Config
    from gatewayd.matching import DirectoryAnswers

__all__ = ["Reader"]

#: Seconds between two looks at whether a file of the config changed.
_LOOK = 2.0


class Reader:
    """Reads until ``close``, in any of several threads."""

    def __init__(self, folder: Path, found: Config, store: Store) -> None:
        self._folder = folder
        self._by_files = found
        self.store = store
        self.daemon = DaemonClient(found.web_socket)
        self._stamp = _stamp(folder)
        self.config = found
        self._taken()
        self._ended = threading.Event()
        started(self._follow, "config")

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read the config of a folder, and open its store for reading.

        While there is no store of this version, each verb raises TransientError: the daemon makes it. Raises ConfigError if
        gatewayd.yaml can't be used.
        """
        found = config.current(folder)
        kind, options = found.web_store or (found.store_kind, found.store_options)
        store = found.registry.get(Store, kind)(options, place=Folders(config=folder, state=found.state))
        store.open_reading()
        return cls(folder, found, store)

    def close(self) -> None:
        """Close the store."""
        self._ended.set()
        self.store.close()

    def person(self, token: str) -> Person | None:
        """Return who is logged in by the web session of this token; None if nobody is, or is any more."""
        return person_of(self.config, self.store, token)

    @property
    def desk(self) -> Desk:
        """The desk, of which all works that only reads and asks no directory."""
        return Desk(store=self.store, matching=_no_matching, specs={})

    def _taken(self) -> None:
        """Add the mailboxes that users added, as far as the store can be read."""
        with suppress(GatewaydError):
            self.config = config.with_user_accounts(self._by_files, self.store.user_accounts(), _no_password)

    def _follow(self) -> None:
        while not self._ended.wait(_LOOK):
            try:
                self._look()
            except GatewaydError as error:
                journal.config_refused(error, ())
            except Exception as error:  # noqa: BLE001  the pages go on with the config that they have
                journal.own_fault("config", error)

    def _look(self) -> None:
        stamp = _stamp(self._folder)
        if stamp != self._stamp:
            self._stamp = stamp
            # Copies as last accepted are the daemon's alone to read: what is faulty by now goes on as it was here.
            self._by_files = config.running(self._folder, self._by_files)
        self._taken()


def _no_matching() -> DirectoryAnswers:
    raise PermanentError("only the daemon asks directories and matchers")


def _no_password(_: object) -> str:
    raise PermanentError("only the daemon opens mailboxes")


def _stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Return what changes if a file of the config does."""
    return tuple(sorted(_files(folder)))


def _files(folder: Path) -> Iterator[tuple[str, int, int]]:
    for path in (folder / "gatewayd.yaml", *folder.glob("accounts/*.yaml"), *folder.glob("operators/*.yaml")):
        with suppress(OSError):
            found = path.stat()
            yield str(path), found.st_mtime_ns, found.st_ino
