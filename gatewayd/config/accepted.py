"""Keeps a copy of each config file that was accepted, which stands in for it while it is faulty (design section 8).

``accepted/`` in the state folder holds a copy of ``gatewayd.yaml``, of each operator's and account's file, and of each
single-file plugin, as it was when it last was sound. A faulty file runs as its copy says, which is checked anew in its
place. Copies are what people wrote: they name secrets and hold none.

The state folder is the service's, so a process that has more power than the service runs no plugin from there.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from gatewayd.api.forwarder import Forwarder
from gatewayd.api.regular_files import read_regular
from gatewayd.api.roles import Directory, Matcher, Transport
from gatewayd.config.account import sending
from gatewayd.config.files import Unreadable, content, names
from gatewayd.config.folder import Fallbacks, FolderReading, shown
from gatewayd.config.main import ACCEPTED, ORIGIN, main
from gatewayd.config.rights import ours_alone
from gatewayd.errors import PluginError
from gatewayd.registry import loading
from gatewayd.registry.discovery import PluginFile
from gatewayd.runtime.atomic_files import sync, write_file
from gatewayd.runtime.privileges import mighty

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from gatewayd.api.options import Options
    from gatewayd.api.roles import Plugin
    from gatewayd.config.main import Main
    from gatewayd.config.values import AccountConfig, Config, OperatorConfig, TargetConfig
    from gatewayd.registry.loading import Registry, Trials

__all__ = ["ACCEPTED", "ORIGIN", "accept", "running", "running_from", "was_accepted"]

#: No file of a config or plugin is larger.
_LONGEST = 64 << 20
_GROUPS = ("operators", "accounts", "plugins")


def running(
    folder: Path,
    previous: Config | None = None,
    registry: Registry | None = None,
    *,
    enter: Callable[[Path], None] = lambda _: None,
    tries: Trials | None = None,
) -> Config:
    """Read the config folder as ``load`` does, but let each faulty file run as last accepted: ``Config.standing_in`` says which.

    For a faulty file its copy stands in if that is sound now, else what ``previous`` has, the config that runs, if it still
    fits the plugins and operators of today. What was never accepted waits: the account is left out, the operator is
    ``faulty``. A single-file plugin that can't be loaded, or is gone while somebody uses it, runs as last accepted as well.
    ``enter`` is called with the state folder before any plugin's code is; ``tries`` says how plugins are tried.
    Raises ConfigError where ``gatewayd.yaml`` is missing or faulty: keep what runs, or don't start.
    """
    folder = folder.absolute()
    return running_from(folder, main(folder), previous, registry, enter=enter, tries=tries)


def running_from(
    folder: Path,
    found: Main,
    previous: Config | None = None,
    registry: Registry | None = None,
    *,
    enter: Callable[[Path], None],
    tries: Trials | None = None,
) -> Config:
    """Do what ``running`` does, with ``gatewayd.yaml`` as it was found."""
    state = previous.state if previous else found.state
    if state:
        enter(state)
    accepted = _Accepted(state / ACCEPTED if state else None, previous)
    if registry is None:
        registry = found.registry(tries, accepted.plugins(found.plugins_folder))
    return FolderReading(folder, found, registry, accepted).config()


def accept(config: Config) -> None:
    """Keep copies of all sound files of a config that was taken over, and remove those of files that are gone.

    A file that changed since it was read keeps its older copy. Only what changed is written, each file whole or not at all.
    Raises OSError where the state folder can't be written.
    """
    root = config.state / ACCEPTED
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    for group in _GROUPS:
        (root / group).mkdir(mode=0o700, exist_ok=True)
    changed = {path: raw for path, raw in _sound(config, root) if raw != _held(path)}
    for path, raw in changed.items():
        write_file(path, raw)
    kept = {*config.digests, *_plugins_kept(config)}
    gone = [path for group in _GROUPS for path in (root / group).iterdir() if f"{group}/{path.name}" not in kept]
    for path in gone:
        path.unlink(missing_ok=True)
    origin = str(config.folder).encode()
    if _held(root / ORIGIN) != origin:
        write_file(root / ORIGIN, origin)
    for folder in {path.parent for path in gone}:
        sync(folder)


def was_accepted(state: Path) -> bool:
    """Whether a daemon with this state folder took a config over before."""
    return (state / ACCEPTED / ORIGIN).is_file()


class _Accepted(Fallbacks):
    """The copies, and the config that runs."""

    def __init__(self, root: Path | None, previous: Config | None) -> None:
        self._root = root
        self._previous = previous

    def files(self, group: str) -> Sequence[str]:
        try:
            return names(self._root / group)[0] if self._root else ()
        except Unreadable:
            return ()

    def copy(self, file: str) -> Path | None:
        return self._root / file if self._root else None

    def operator(self, name: str, registry: Registry) -> OperatorConfig | None:
        one = self._previous.operators.get(name) if self._previous else None
        if one is None or one.faulty or not all(_fits(registry, Matcher, kind, options) for kind, options in one.matchers):
            return None
        directory = one.directory_kind is None or _fits(registry, Directory, one.directory_kind, one.directory_options)
        return one if directory and all(_takes(registry, target) for target in one.targets.values()) else None

    def account(self, name: str, registry: Registry, operators: Mapping[str, OperatorConfig]) -> AccountConfig | None:
        one = self._previous.accounts.get(name) if self._previous else None
        if one is None or not _can(registry, one):
            return None
        # Who may see its mail is decided by the files, not by what was: an operator or user that is gone is gone.
        owners = [operators.get(owner) for owner in one.operators]
        known = all(owner and (one.user is None or owner.faulty or one.user in owner.users) for owner in owners)
        return one if known else None

    def plugins(self, folder: Path | None) -> Sequence[PluginFile]:
        """Return the single-file plugins as last accepted; ``folder`` is where they belong."""
        found = {}
        for path in sorted((self._root / "plugins").glob("*.py")) if self._root else ():
            if mighty() and not ours_alone(path):
                continue
            try:
                found[path.name] = PluginFile(path=(folder or path.parent) / path.name, code=read_regular(path, _LONGEST))
            except OSError:
                # As good as none.
                continue
        running = self._previous.registry.files if self._previous else ()
        return [*(found | {file.path.name: file for file in running}).values()]


def _fits(registry: Registry, role: type[Plugin], kind: str, options: Options | None) -> bool:
    try:
        return type(options) is registry.get(role, kind).Options
    except PluginError:
        return False


def _can(registry: Registry, account: AccountConfig) -> bool:
    """Whether plugins of today offer what an account does, with the same options."""
    transport, forwarder = (_fits(registry, role, account.kind, account.options) for role in (Transport, Forwarder))
    needs = [transport] * (account.imports is not None) + [forwarder] * (account.sends is not None)
    return (transport or forwarder) and all(needs)


def _takes(registry: Registry, target: TargetConfig) -> bool:
    if target.options is not None:
        return _fits(registry, Forwarder, target.kind, target.options)
    return target.kind in sending(registry)


def _sound(config: Config, root: Path) -> Iterator[tuple[Path, bytes]]:
    """Yield where the copy of each sound file belongs, and what the file held when it was read."""
    for plugin in config.registry.files:
        if f"plugins/{plugin.path.name}" in _plugins_kept(config):
            yield root / "plugins" / plugin.path.name, plugin.code
    for file, digest in config.digests.items():
        copy = root / file
        if not digest or digest == _digest(_held(copy)):
            continue
        try:
            raw = content(file, config.folder / file)
        except Unreadable:
            continue
        if _digest(raw) == digest:
            yield copy, raw


def _plugins_kept(config: Config) -> set[str]:
    """Return the single files that there are, and those that are gone but in use."""
    plugins_known = {plugin.path: plugin for plugin in config.registry.plugins if plugin.path}
    return {
        f"plugins/{path.name}"
        for path, plugin in plugins_known.items()
        if plugin.fault != loading.GONE or shown(path, config.folder) in config.standing_in
    }


def _held(copy: Path) -> bytes | None:
    try:
        return read_regular(copy, _LONGEST)
    except OSError:
        return None


def _digest(raw: bytes | None) -> str:
    return "" if raw is None else hashlib.sha256(raw).hexdigest()
