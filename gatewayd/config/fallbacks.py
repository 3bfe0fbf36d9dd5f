"""Offer what can stand in for a faulty file: its copy as last accepted, or what the running config has; `folder.py` chooses.

The state folder is the service's, so a process that has more power than the service runs no plugin from there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gatewayd.api.forwarder import Forwarder
from gatewayd.api.regular_files import read_regular
from gatewayd.api.roles import Directory, Matcher, Transport
from gatewayd.config.files import Unreadable, names
from gatewayd.config.rights import ours_alone
from gatewayd.errors import PluginError
from gatewayd.registry.discovery import PluginFile
from gatewayd.runtime.privileges import mighty

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gatewayd.api.options import Options
    from gatewayd.api.roles import Plugin
    from gatewayd.config.values import AccountConfig, Config, OperatorConfig
    from gatewayd.registry.loading import Registry

__all__ = ["LONGEST", "Fallbacks"]

#: No file of a config or plugin is larger, in bytes.
LONGEST = 64 << 20


@dataclass(frozen=True, slots=True)
class Fallbacks:
    """The copies that were accepted, in the folder ``root``, and the config that runs; each may be missing."""

    root: Path | None = None
    previous: Config | None = None

    def files(self, group: str) -> Sequence[str]:
        """Return the files that ``operators`` or ``accounts`` is known to hold, where it can't be listed."""
        try:
            return names(self.root / group)[0] if self.root else ()
        except Unreadable:
            return ()

    def copy(self, file: str) -> Path | None:
        """Return where the copy of a file is, if there is one, sound or not."""
        return self.root / file if self.root else None

    def operator(self, name: str, registry: Registry) -> OperatorConfig | None:
        """Return the running config's operator, if the plugins of today take its options."""
        found = self.previous.operators.get(name) if self.previous else None
        if found is None or found.faulty:
            return None
        used: list[tuple[type[Plugin], str, Options | None]] = [(Matcher, kind, options) for kind, options in found.matchers]
        if found.directory_kind is not None:
            used.append((Directory, found.directory_kind, found.directory_options))
        mail = [target.kind for target in found.targets.values() if target.options is None]
        used += [(Forwarder, one.kind, one.options) for one in found.targets.values() if one.options is not None]
        sound = {*mail} <= {*registry.sending()} and all(_fits(registry, *one) for one in used)
        return found if sound else None

    def account(self, name: str, registry: Registry, operators: Mapping[str, OperatorConfig]) -> AccountConfig | None:
        """Return the running config's account, if the plugins of today do what it needs, and its operators and user exist."""
        found = self.previous.accounts.get(name) if self.previous else None
        if found is None:
            return None
        transport, forwarder = (_fits(registry, role, found.kind, found.options) for role in (Transport, Forwarder))
        if not (transport or forwarder) or (found.imports and not transport) or (found.sends and not forwarder):
            return None
        # Who may see its mail is decided by the files, not by what was: an operator or user that is gone is gone.
        owners = [operators.get(owner) for owner in found.operators]
        known = all(owner and (found.user is None or owner.faulty or found.user in owner.users) for owner in owners)
        return replace(found, share=tuple(one for one in found.share if _is_there(one, owners))) if known else None

    def plugins(self, folder: Path | None) -> Sequence[PluginFile]:
        """Return the single-file plugins as last accepted; ``folder`` is where they belong."""
        found = {}
        for path in self._plugins():
            if mighty() and not ours_alone(path):
                continue
            try:
                found[path.name] = PluginFile(path=(folder or path.parent) / path.name, code=read_regular(path, LONGEST))
            except OSError:
                # As if there were no copy.
                continue
        running = self.previous.registry.files if self.previous else ()
        return [*(found | {file.path.name: file for file in running}).values()]

    def _plugins(self) -> Sequence[Path]:
        try:
            return sorted((self.root / "plugins").glob("*.py")) if self.root else ()
        # The state folder is not everybody's to look into, such as whom the pages run as.
        except OSError:
            return ()


def _is_there(user: str, operators: Sequence[OperatorConfig | None]) -> bool:
    return any(one and (one.faulty or user in one.users) for one in operators)


def _fits(registry: Registry, role: type[Plugin], kind: str, options: Options | None) -> bool:
    try:
        return type(options) is registry.get(role, kind).Options
    except PluginError:
        return False
