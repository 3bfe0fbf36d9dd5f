"""Load the config folder: as its files are (``load``), or as the daemon (``running``) and commands (``current``) use it."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from gatewayd.api.regular_files import read_regular
from gatewayd.config.fallbacks import Fallbacks
from gatewayd.config.folder import FolderReading
from gatewayd.config.main import ACCEPTED, FILE, MOST, accepted_from, main, systemd_state
from gatewayd.config.rights import ours_alone
from gatewayd.errors import ConfigError
from gatewayd.registry import loading as plugins
from gatewayd.runtime.privileges import mighty

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatewayd.config.main import Main
    from gatewayd.config.values import Config
    from gatewayd.registry.loading import Registry, Trials

__all__ = ["current", "load", "plugins_of", "running", "state_is_anothers"]

#: Where ``gatewayd install`` has the service keep its state.
_INSTALLED = Path("/var/lib/gatewayd")
_Enter: TypeAlias = "Callable[[Path], None]"
_STATE = re.compile(r"""^["']?state["']?:[ ]*["']?([^"'#\n{}\[\]]+?)["']?[ ]*(?:#.*)?$""", re.MULTILINE)


def load(folder: Path, registry: Registry | None = None, *, enter: _Enter = lambda _: None, tries: Trials | None = None) -> Config:
    """Read the config folder. Plugins are loaded from where ``gatewayd.yaml`` says, or are those of ``registry``.

    ``enter`` is called with the state folder before any plugin's code is; ``tries`` says how plugins are tried.
    Raises ConfigError, with every fault that was found, where ``gatewayd.yaml`` is missing or faulty; all other faults
    are in ``Config.faults``, by file and line. A faulty account is left out, a faulty operator kept without matching.
    """
    return _read(main(folder), Fallbacks(), registry, enter, tries)


def running(
    folder: Path,
    previous: Config | None = None,
    registry: Registry | None = None,
    *,
    enter: _Enter = lambda _: None,
    tries: Trials | None = None,
) -> Config:
    """Read the config folder as ``load`` does, but let each faulty file run as last accepted: ``Config.standing_in`` names them.

    In place of a faulty file its copy runs if that is sound now, else the value of ``previous``, the config that runs, if it still
    fits the plugins and operators of today. If the file was never accepted, its account is left out, or its operator is
    ``faulty``. A single-file plugin that can't be loaded, or is gone while somebody uses it, runs as last accepted as well.
    ``enter`` is called with the state folder before any plugin's code is; ``tries`` says how plugins are tried.
    Raises ConfigError where ``gatewayd.yaml`` is missing or faulty: keep what runs, or don't start.
    """
    found = main(folder)
    state = previous.state if previous else found.state
    return _read(found, Fallbacks(state / ACCEPTED if state else None, previous), registry, enter, tries)


def current(folder: Path, *, enter: _Enter = lambda _: None, tries: Trials | None = None) -> Config:
    """Read the config folder as the daemon runs it: each faulty file runs as last accepted, ``gatewayd.yaml`` too.

    ``enter`` is called with the state folder before any plugin's code is. ``Config.faults`` and ``standing_in`` have
    ``gatewayd.yaml`` like other files. Raises ConfigError where it is faulty and was never accepted.
    """
    try:
        return running(folder, enter=enter, tries=tries)
    except ConfigError as refused:
        found = _accepted(folder.absolute())
        if found is None or found.state is None:
            raise
        config = _read(found, Fallbacks(found.state / ACCEPTED), None, enter, tries)
        faults = {*refused.faults, *config.faults}
        digests = {**config.digests, FILE: ""}
        return replace(config, faults=tuple(sorted(faults)), standing_in=(*config.standing_in, FILE), digests=digests)


def state_is_anothers(folder: Path) -> bool:
    """Whether this process is root, and will become somebody else as soon as it knows the state folder of a config."""
    try:
        state = main(folder).state
        return os.geteuid() == 0 and state is not None and state.stat().st_uid != 0
    except (ConfigError, OSError):
        return False


def plugins_of(folder: Path, *, enter: _Enter, tries: Trials) -> Registry:
    """Load the plugins that a config folder names, as far as it can be read: to look at them before there is a config."""
    try:
        found = main(folder)
    except ConfigError:
        return plugins.load(tries=tries)
    if found.state:
        enter(found.state)
    return found.registry(tries)


def _read(found: Main, fallbacks: Fallbacks, registry: Registry | None, enter: _Enter, tries: Trials | None) -> Config:
    if state := fallbacks.previous.state if fallbacks.previous else found.state:
        enter(state)
    if registry is None:
        registry = found.registry(tries, fallbacks.plugins(found.plugins_folder))
    return FolderReading(found, registry, fallbacks).config()


def _accepted(folder: Path) -> Main | None:
    """Return ``gatewayd.yaml`` as it was last accepted; None where that is not known.

    The copy is in the state folder, and it is the faulty file that says where that is. So a copy counts only where it names
    the very folder that it is in, and was taken from this config folder.
    """
    for state in dict.fromkeys(_states(folder)):
        root = state / ACCEPTED
        if not accepted_from(folder, root):
            continue
        try:
            found = main(folder, root / FILE)
        except (OSError, ValueError, ConfigError):
            continue
        if found.state and found.state.resolve() == state.resolve() and not found.checker.faults and _trusted(found):
            return found
    return None


def _states(folder: Path) -> Iterator[Path]:
    """Yield where the state folder may be, the likeliest first."""
    try:
        text = read_regular(folder / FILE, MOST).decode(errors="replace")
    except OSError:
        text = ""
    yield from (folder / found[1] for found in _STATE.finditer(text) if "\0" not in found[1])
    if given := systemd_state():
        yield Path(given)
    yield _INSTALLED


def _trusted(found: Main) -> bool:
    """Whether the plugins' folder may be taken from a copy, which the service could have written.

    A process that has more power than the service runs no code that the service could choose.
    """
    return found.plugins_folder is None or not mighty() or ours_alone(found.plugins_folder)
