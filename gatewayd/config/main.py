"""Read ``gatewayd.yaml``. Only its faults refuse the whole config."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gatewayd.api.regular_files import read_regular
from gatewayd.api.store import Store
from gatewayd.config.checker import Checker
from gatewayd.config.files import is_folder
from gatewayd.config.models import GatewaydFile, LogConfig
from gatewayd.config.yaml_documents import read
from gatewayd.errors import ConfigError, Fault
from gatewayd.registry.loading import Trials, load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd.registry.discovery import PluginFile
    from gatewayd.registry.loading import Registry

__all__ = ["ACCEPTED", "FILE", "ORIGIN", "Main", "log_of", "main", "refused"]

FILE = "gatewayd.yaml"
#: In the state folder: copies of the files that were accepted, and beside them the config folder that they are of.
ACCEPTED, ORIGIN = "accepted", "folder"
#: There, too: what became of trials of plugins.
_TRIED = "plugins.json"
#: A larger file is none of ours.
_MOST = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Main:
    """What ``gatewayd.yaml`` says; its faults stand in ``checker``, and then the rest of it is not complete."""

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

    def store(self, registry: Registry) -> tuple[str, Store.Options] | None:
        """Return kind and options of the store, None where they are faulty."""
        mapping = self.checker.document.data.get("store", {"kind": "sql"})
        return self.checker.plugin(registry, Store, mapping, ("store",)) if isinstance(mapping, dict) else None


def refused(faults: Sequence[Fault]) -> ConfigError:
    """Return the error for a faulty ``gatewayd.yaml``, with all faults that were found."""
    advice = "Correct it; `gatewayd check` tells when it is right."
    return ConfigError(f"{FILE} is faulty", faults=sorted(faults), advice=advice)


def main(folder: Path, copy: Path | None = None) -> Main:
    """Read ``gatewayd.yaml``, or a copy of it as if it stood in its place.

    Raises ConfigError where there is nothing to go on with.
    """
    if not is_folder(folder):
        what = f"{folder}, the config folder, is no folder" if os.path.lexists(folder) else f"there is no config folder {folder}"
        raise ConfigError(what, advice="Name it with --config FOLDER.")
    if copy is None and not os.path.lexists(folder / FILE):
        fault = Fault(file=FILE, what="missing, expected it in the config folder; it may be {} where $STATE_DIRECTORY is set")
        raise ConfigError(f"{folder} has no {FILE}", faults=[fault], advice="Name the config folder with --config FOLDER.")
    document = read(FILE, folder=folder, copy=copy or _as_empty_as_ever(folder))
    if () in document.faulty:
        raise refused(document.faults)
    checker = Checker(document, folder=folder)
    found = checker.model(GatewaydFile, document.data, ())
    return Main(checker=checker, found=found, plugins_folder=_plugins_folder(checker, folder, copy), state=_state(checker, folder))


def _as_empty_as_ever(folder: Path) -> Path | None:
    """Return the copy of a ``gatewayd.yaml`` in which nothing stands, nor stood when an earlier release accepted it."""
    root = Path(_given(), ACCEPTED)
    try:
        empty = not any(read_regular(path, _MOST).strip() for path in (folder / FILE, root / FILE))
        ours = empty and Path(read_regular(root / ORIGIN, _MOST).decode()).resolve() == folder.resolve()
    except (OSError, ValueError):
        return None
    return root / FILE if ours else None


def log_of(folder: Path) -> LogConfig:
    """Return what ``gatewayd.yaml`` says of the log, the default where it can't be read."""
    try:
        found = main(folder.absolute()).found
    except ConfigError:
        found = None
    return found.log if found else LogConfig()


def _plugins_folder(checker: Checker, folder: Path, copy: Path | None) -> Path | None:
    """Return the folder of single-file plugins; raises ConfigError where it can't be had: every kind would seem unknown.

    Of a copy it is then as if none was named: plugins have copies of their own.
    """
    block = checker.document.data.get("plugins")
    if block is None:
        return None
    name = block.get("folder") if isinstance(block, dict) else None
    if isinstance(block, dict) and "folder" not in block:
        return None
    if isinstance(name, str):
        found = Path(folder, name)
        if name and is_folder(found):
            return found
        if name and copy:
            return None
        checker.fault(("plugins", "folder"), f"plugins.folder: there is no folder {name!r}")
    raise refused(checker.faults)


def _state(checker: Checker, folder: Path) -> Path | None:
    name = checker.document.data.get("state")
    if isinstance(name, str):
        return Path(folder, name)
    given = _given()
    if not given and "state" not in checker.document.data:
        checker.fault((), "missing key 'state', expected it here, or a folder in $STATE_DIRECTORY")
    return Path(given).absolute() if given else None


def _given() -> str:
    # systemd gives several folders separated by colons (systemd.exec(5)); the first is ours.
    return os.environ.get("STATE_DIRECTORY", "").split(":")[0]
