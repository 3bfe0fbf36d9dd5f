"""Read ``gatewayd.yaml``, the one file whose faults refuse the whole config."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from gatewayd.api.forwarder import Forwarder
from gatewayd.api.regular_files import read_regular
from gatewayd.api.roles import Plugin
from gatewayd.api.store import Store
from gatewayd.config.checker import Checker
from gatewayd.config.files import is_folder
from gatewayd.config.models.main import GatewaydFile, LogConfig, NotifyConfig
from gatewayd.config.models.web import WebConfig
from gatewayd.config.yaml_documents import read
from gatewayd.errors import ConfigError, Fault
from gatewayd.registry.loading import Trials, load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd.config.yaml_documents import YamlPath
    from gatewayd.registry.discovery import PluginFile
    from gatewayd.registry.loading import Registry

__all__ = ["ACCEPTED", "FILE", "MOST", "ORIGIN", "Main", "accepted_from", "log_of", "main", "refused", "systemd_state", "web_of"]

FILE = "gatewayd.yaml"
#: In the state folder: copies of the files that were accepted, and beside them the config folder that they are of.
ACCEPTED, ORIGIN = "accepted", "folder"
#: There, too: the results of trials of plugins.
_TRIED = "plugins.json"
#: Our own files are not larger, in bytes.
MOST = 1 << 20

#: The kind of a plugin, and its options.
_Made: TypeAlias = tuple[str, Plugin.Options]


@dataclass(frozen=True, slots=True, kw_only=True)
class Main:
    """``gatewayd.yaml`` as it was read. If ``checker`` has faults, the rest is not complete."""

    #: The config folder, absolute.
    folder: Path
    checker: Checker
    found: GatewaydFile | None
    #: Absolute; None where nobody names it.
    state: Path | None
    plugins_folder: Path | None

    def registry(self, tries: Trials | None, files: Sequence[PluginFile] = ()) -> Registry:
        """Load the plugins that it names, and in place of faulty ones ``files``."""
        says = self.found or GatewaydFile()
        file = self.state / _TRIED if self.state else None
        memory = says.workers.memory_mib << 20
        bounded = replace(tries or Trials(), memory=memory, file=file, seconds=says.plugins.deadline)
        return load(self.plugins_folder, files=files, without=says.plugins.without, tries=bounded)

    def stores(self, registry: Registry) -> tuple[_Made | None, _Made | None]:
        """Return kind and options of the store, and of the store as the pages read it; None where they are faulty."""
        data = self.checker.document.data
        store = self._store(registry, data.get("store", {"kind": "sql"}), ("store",))
        web = data.get("web")
        own = web.get("store") if isinstance(web, dict) else None
        return store, store if own is None else self._store(registry, own, ("web", "store"))

    def _store(self, registry: Registry, mapping: object, place: YamlPath) -> _Made | None:
        return self.checker.plugin(registry, Store, mapping, place) if isinstance(mapping, dict) else None

    def notify(self, registry: Registry) -> tuple[NotifyConfig | None, Plugin.Options | None]:
        """Return how the administrators are told, and the options of the forwarder that does so.

        Both are None where they are not told, or ``checker`` has the faults.
        """
        checker, data = self.checker, self.checker.document.data
        mapping = data.get("notify")
        if not isinstance(mapping, dict):
            return None, None
        word = mapping.get("kind")
        offered = checker.kind(registry, Forwarder, word, ("notify", "kind")) if isinstance(word, str) else None
        if offered and offered.sends_mail:
            checker.fault(("notify", "kind"), f"notify.kind: {word} sends mail, expected 'through' with the account that sends")
            return None, None
        if word is not None and offered is None:
            return None, None
        # Without a forwarder every key is the kernel's.
        own = {key: value for key, value in mapping.items() if offered is None or key in NotifyConfig.model_fields}
        block = checker.model(NotifyConfig, own, ("notify",), beside=(offered.Options,) if offered else ())
        rest = {key: value for key, value in mapping.items() if key not in own}
        options = checker.model(offered.Options, rest, ("notify",), beside=(NotifyConfig,)) if offered else None
        if block and block.through and not data.get("administrators"):
            checker.fault(("notify", "through"), "notify.through: nobody would get a mail, expected 'administrators'")
        return (None, None) if block is None or (offered and options is None) else (block, options)


def refused(faults: Sequence[Fault]) -> ConfigError:
    """Return the error for a faulty ``gatewayd.yaml``, with all faults that were found."""
    advice = "Correct it; `gatewayd check` tells when it is right."
    return ConfigError(f"{FILE} is faulty", faults=sorted(faults), advice=advice)


def main(folder: Path, copy: Path | None = None) -> Main:
    """Read ``gatewayd.yaml``, or a copy of it in its place.

    Raises ConfigError where there is nothing to go on with.
    """
    folder = folder.absolute()
    if not is_folder(folder):
        what = f"{folder}, the config folder, is no folder" if os.path.lexists(folder) else f"there is no config folder {folder}"
        raise ConfigError(what, advice="Name it with --config FOLDER.")
    if copy is None and not os.path.lexists(folder / FILE):
        fault = Fault(file=FILE, what="missing, expected it in the config folder; it may be {} where $STATE_DIRECTORY is set")
        raise ConfigError(f"{folder} has no {FILE}", faults=[fault], advice="Name the config folder with --config FOLDER.")
    document = read(FILE, folder=folder, copy=copy or _accepted_empty(folder))
    if () in document.faulty:
        raise refused(document.faults)
    checker = Checker(document, folder=folder)
    found = checker.model(GatewaydFile, document.data, ())
    plugins = _plugins_folder(checker, folder, copy)
    return Main(folder=folder, checker=checker, found=found, plugins_folder=plugins, state=_state(checker, folder))


def log_of(folder: Path) -> LogConfig:
    """Return the config of the log, the default where ``gatewayd.yaml`` can't be read."""
    try:
        found = main(folder).found
    except ConfigError:
        found = None
    return found.log if found else LogConfig()


def web_of(folder: Path) -> WebConfig:
    """Return the config of the pages. Raises ConfigError where ``gatewayd.yaml`` can't be read."""
    found = main(folder).found
    return found.web if found else WebConfig()


def accepted_from(folder: Path, root: Path) -> bool:
    """Whether the accepted copies in ``root`` are known to be of this config folder."""
    try:
        return Path(read_regular(root / ORIGIN, MOST).decode()).resolve() == folder.resolve()
    except (OSError, ValueError):
        return False


def systemd_state() -> str:
    """Return the state folder that systemd gives, empty if it gives none."""
    # There may be several, separated by colons (systemd.exec(5)); the first is ours.
    return os.environ.get("STATE_DIRECTORY", "").split(":")[0]


def _accepted_empty(folder: Path) -> Path | None:
    """Return the copy of an empty ``gatewayd.yaml`` that an earlier release accepted while it was empty, too."""
    root = Path(systemd_state(), ACCEPTED)
    try:
        empty = not any(read_regular(path, MOST).strip() for path in (folder / FILE, root / FILE))
    except (OSError, ValueError):
        return None
    return root / FILE if empty and accepted_from(folder, root) else None


def _plugins_folder(checker: Checker, folder: Path, copy: Path | None) -> Path | None:
    """Return the folder of single-file plugins; raises ConfigError where it is missing: every kind would seem unknown.

    In a copy it is then as if none was named: plugins have copies of their own.
    """
    block = checker.document.data.get("plugins")
    if block is None or (isinstance(block, dict) and "folder" not in block):
        return None
    name = block["folder"] if isinstance(block, dict) else None
    if isinstance(name, str) and name:
        found = Path(folder, name)
        if is_folder(found):
            return found
        if copy:
            return None
    if isinstance(name, str):
        checker.fault(("plugins", "folder"), f"plugins.folder: there is no folder {name!r}")
    raise refused(checker.faults)


def _state(checker: Checker, folder: Path) -> Path | None:
    name = checker.document.data.get("state")
    if isinstance(name, str):
        return Path(folder, name)
    given = systemd_state()
    if not given and "state" not in checker.document.data:
        checker.fault((), "missing key 'state', expected it here, or a folder in $STATE_DIRECTORY")
    return Path(given).absolute() if given else None
