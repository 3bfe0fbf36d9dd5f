"""Looks after the secrets and CA files that the config names: who was refused with what has changed by now is tried at once."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from gatewayd.config import ca_files
from gatewayd.config.secret_copies import SecretCopies, SecretCopy, mark, new_key
from gatewayd.runtime import journal
from gatewayd.runtime.threads import started

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from gatewayd.config import Config
    from gatewayd.runtime.instance import Instance

__all__ = ["SecretWatcher"]

#: Seconds between two looks, and how many times as long as a look takes: thousands of secrets must not keep a processor busy.
_LOOK, _REST = 2.0, 500
#: A change is seen by a digest of so many bytes, which nobody is told.
_DIGEST = 16


class SecretWatcher:
    """Looks from the first ``apply`` to ``stop``, in a thread of its own: a file behind a dead network may keep it waiting."""

    def __init__(self, instance: Instance, *changed: Callable[[Collection[str]], object], every: float = _LOOK) -> None:
        """``changed`` are called with the files of the config that name what is another by now."""
        self._instance = instance
        self._changed = changed
        self._every = every
        self._key = new_key()
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._stopped = False
        self._config: Config | None = None
        self._digests: dict[str, str] = {}
        self._copies: dict[str, SecretCopy] = {}
        self._told: dict[str, SecretCopy] | None = None

    def apply(self, config: Config) -> None:
        """Look after the secrets of this config from now on."""
        first, self._config = self._config is None, config
        self._wake.put(None)
        if first:
            started(self._run, "secrets")

    def stop(self) -> None:
        """End; does not wait for it."""
        self._stopped = True
        self._wake.put(None)

    def _run(self) -> None:
        took = 0.0
        while not self._stopped:
            with suppress(Empty):
                self._wake.get(timeout=max(self._every, _REST * took))
            began = time.thread_time()
            if self._config is not None and not self._stopped:
                try:
                    self._look(self._config)
                except Exception as error:  # noqa: BLE001  a bug must not end the looking
                    journal.own_fault("secrets", error)
                    time.sleep(self._every)
            took = time.thread_time() - began

    def _look(self, config: Config) -> None:
        users: dict[str, set[str]] = {}
        by_name = {str(use.secret): use.secret for use in config.secrets}
        for use in config.secrets:
            users.setdefault(str(use.secret), set()).add(use.file)
        # Ours is taken once, when the daemon starts.
        kept = str(config.signing_key) if str(config.signing_key) in self._digests else ""
        digests = {name: mark(one, self._key, _DIGEST) for name, one in by_name.items() if name != kept}
        for file, _, path in ca_files(config):
            users.setdefault(f"ca_file {path}", set()).add(file)
            digests[f"ca_file {path}"] = _version(path)
        changed = {name for name, digest in digests.items() if self._digests.get(name, digest) != digest}
        now = datetime.now(UTC)
        new = [name for name in digests if name in by_name and self._is_new(name, digests)]
        fresh = {name: SecretCopy(since=now, mark=mark(by_name[name], self._key)) for name in new}
        self._copies = {name: copy for name, copy in (self._copies | fresh).items() if name in by_name}
        self._digests = {name: digest for name, digest in (self._digests | digests).items() if name in users}
        self._tell()
        self._say(changed, users)

    def _is_new(self, name: str, digests: Mapping[str, str]) -> bool:
        return name not in self._copies or self._digests[name] != digests[name]

    def _tell(self) -> None:
        if self._told == self._copies:
            return
        # While the disk is full there is nothing to do about it.
        with suppress(OSError):
            SecretCopies(self._key, self._copies).tell(self._instance)
            self._told = dict(self._copies)

    def _say(self, changed: Collection[str], users: Mapping[str, Collection[str]]) -> None:
        files = sorted({file for name in changed for file in users[name]})
        for name in sorted(changed):
            journal.credentials_changed(name, files=sorted(users[name]))
        for tell in self._changed if files else ():
            tell(files)


def _version(path: Path) -> str:
    """Return what tells a file from what it was before, as ``tls_context`` does; empty where it is not there."""
    try:
        return str(path.stat().st_mtime_ns)
    except OSError:
        return ""
