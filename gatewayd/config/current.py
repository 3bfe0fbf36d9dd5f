"""What commands go by: the config as the daemon runs it, also while ``gatewayd.yaml`` is faulty.

Its copy lies in the state folder, and where that is says the faulty file itself, as far as it can be read. So the copy
counts only where it names the very folder that it lies in, and was taken from this config folder.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gatewayd.api.regular_files import read_regular
from gatewayd.config.accepted import ACCEPTED, ORIGIN, running_from
from gatewayd.config.main import FILE, main
from gatewayd.config.rights import ours_alone
from gatewayd.errors import ConfigError
from gatewayd.runtime.privileges import mighty

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatewayd.config.main import Main
    from gatewayd.config.values import Config
    from gatewayd.registry.loading import Trials

__all__ = ["current"]

#: Where ``gatewayd install`` has the service keep its state.
_INSTALLED = Path("/var/lib/gatewayd")
_STATE = re.compile(r"""^["']?state["']?:[ ]*["']?([^"'#\n{}\[\]]+?)["']?[ ]*(?:#.*)?$""", re.MULTILINE)
#: A larger file is none of ours.
_MOST = 1 << 20


def current(folder: Path, *, enter: Callable[[Path], None] = lambda _: None, tries: Trials | None = None) -> Config:
    """Read the config folder as the daemon runs it: each faulty file runs as last accepted, ``gatewayd.yaml`` too.

    ``enter`` is called with the state folder before any plugin's code is. ``Config.faults`` and ``standing_in`` tell of
    ``gatewayd.yaml`` as of other files. Raises ConfigError where that is faulty and was never accepted.
    """
    folder = folder.absolute()
    try:
        return running_from(folder, main(folder), enter=enter, tries=tries)
    except ConfigError as refused:
        found = _accepted(folder)
        if found is None:
            raise
        config = running_from(folder, found, enter=enter, tries=tries)
        faults = {*refused.faults, *config.faults}
        digests = {**config.digests, FILE: ""}
        return replace(config, faults=tuple(sorted(faults)), standing_in=(*config.standing_in, FILE), digests=digests)


def _accepted(folder: Path) -> Main | None:
    """Return what ``gatewayd.yaml`` was last accepted as; None where that is not known."""
    for state in dict.fromkeys(_states(folder)):
        root = state / ACCEPTED
        try:
            origin = read_regular(root / ORIGIN, _MOST).decode()
            if Path(origin).resolve() != folder.resolve():
                continue
            found = main(folder, root / FILE)
        except (OSError, ValueError, ConfigError):
            continue
        if found.state and found.state.resolve() == state.resolve() and not found.checker.faults and _trusted(found):
            return found
    return None


def _states(folder: Path) -> Iterator[Path]:
    """Yield where the state folder may be, the likeliest first."""
    try:
        text = read_regular(folder / FILE, _MOST).decode(errors="replace")
    except OSError:
        text = ""
    yield from (folder / found[1] for found in _STATE.finditer(text) if "\0" not in found[1])
    yield from (Path(one) for one in os.environ.get("STATE_DIRECTORY", "").split(":")[:1] if one)
    yield _INSTALLED


def _trusted(found: Main) -> bool:
    """Whether the plugins' folder may be taken from a copy, which the service could have written.

    A process that has more power than the service runs no code that the service could choose.
    """
    return found.plugins_folder is None or not mighty() or ours_alone(found.plugins_folder)
