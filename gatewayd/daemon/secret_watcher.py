"""Watch the secrets and CA files that the config names, and have refused accounts tried at once when one has changed."""

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
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from gatewayd.config import Config
    from gatewayd.config.yaml_documents import YamlPath
    from gatewayd.runtime.instance import Instance

__all__ = ["SecretWatcher"]

#: Seconds between two looks, at least; and how many times as long as a look takes, so that thousands of secrets cost little.
_LOOK, _REST = 2.0, 500
#: Bytes of the digests that changes are seen by. They never leave this process.
_DIGEST = 16


class SecretWatcher:
    """Works from the first ``apply`` to ``stop``, in a thread of its own, since a file on a dead network drive may block it."""

    def __init__(self, instance: Instance, *changed: Callable[[Collection[str]], object], every: float = _LOOK) -> None:
        """``changed`` are called with the files of the config that name a secret or CA file which has changed."""
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
        """Watch the secrets of this config from now on."""
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
        for file, secret in config.secrets_by_file():
            users.setdefault(str(secret), set()).add(file)
        # The signing key is read once, when the daemon starts.
        kept = str(config.signing_key) if str(config.signing_key) in self._digests else ""
        digests = {name: mark(one, self._key, _DIGEST) for name, one in by_name.items() if name != kept}
        for file, place, path in ca_files(config):
            users.setdefault(f"ca_file {path}", set()).update({file}, _sharing(config, place))
            digests[f"ca_file {path}"] = _version(path)
        changed = {name for name, digest in digests.items() if self._digests.get(name, digest) != digest}
        now = datetime.now(UTC)
        new = [name for name in digests if name in by_name and (name not in self._copies or self._digests[name] != digests[name])]
        fresh = {name: SecretCopy(since=now, mark=mark(by_name[name], self._key)) for name in new}
        self._copies = {name: copy for name, copy in (self._copies | fresh).items() if name in by_name}
        self._digests = {name: digest for name, digest in (self._digests | digests).items() if name in users}
        if self._told != self._copies:
            # If the disk is full, the next look tries it again.
            with suppress(OSError):
                SecretCopies(self._key, self._copies).tell(self._instance)
                self._told = dict(self._copies)
        for name in sorted(changed):
            journal.credentials_changed(name, files=sorted(users[name]))
        if files := sorted({file for name in changed for file in users[name]}):
            for call in self._changed:
                call(files)


def _sharing(config: Config, place: YamlPath) -> Iterator[str]:
    """Yield the files of the accounts that share the credential at a place of ``gatewayd.yaml``, if there is one."""
    shared = place[1] if place[0] == "credentials" else None
    return (f"accounts/{one.name}.yaml" for one in config.accounts.values() if one.credential == shared)


def _version(path: Path) -> str:
    """Return a file's version, as ``tls_context`` compares it; empty if there is no file."""
    try:
        return str(path.stat().st_mtime_ns)
    except OSError:
        return ""
