"""Keep a copy of each config file that was taken over, to run in its place while it is faulty.

``accepted/`` in the state folder holds a copy of ``gatewayd.yaml``, of each operator's and account's file, and of each
single-file plugin, as it was when it last was sound. The copy runs in place of a faulty file, and is checked anew when it
does. Copies hold the text that people wrote: references to secrets, and no secrets.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from gatewayd.api.regular_files import read_regular
from gatewayd.config.fallbacks import LONGEST
from gatewayd.config.files import Unreadable, content
from gatewayd.config.folder import shown
from gatewayd.config.main import ACCEPTED, ORIGIN
from gatewayd.registry import loading
from gatewayd.runtime.atomic_files import sync, write_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatewayd.config.values import Config

__all__ = ["accept", "was_accepted"]

_GROUPS = ("operators", "accounts", "plugins")


def accept(config: Config) -> None:
    """Keep copies of all sound files of a config that was taken over, and remove those of files that are gone.

    A file that changed since it was read keeps its older copy. Only what changed is written, each file whole or not at all.
    Raises OSError where the state folder can't be written.
    """
    root = config.state / ACCEPTED
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    for group in _GROUPS:
        (root / group).mkdir(mode=0o700, exist_ok=True)
    plugins = _plugins(config)
    touched = set()
    for path, raw in _sound(config, root, plugins):
        if raw != _held(path):
            write_file(path, raw, sync_folder=False)
            touched.add(path.parent)
    kept = {*config.digests, *plugins}
    gone = [path for group in _GROUPS for path in (root / group).iterdir() if f"{group}/{path.name}" not in kept]
    for path in gone:
        path.unlink(missing_ok=True)
        touched.add(path.parent)
    # Once for each folder: at the first start there may be a thousand accounts.
    for folder in touched:
        sync(folder)
    origin = str(config.folder).encode()
    if _held(root / ORIGIN) != origin:
        write_file(root / ORIGIN, origin)


def was_accepted(state: Path) -> bool:
    """Whether a daemon with this state folder took a config over before."""
    return (state / ACCEPTED / ORIGIN).is_file()


def _plugins(config: Config) -> set[str]:
    """Return the single-file plugins that exist, and those that are gone but in use."""
    found = {plugin.path: plugin for plugin in config.registry.plugins if plugin.path}
    return {
        f"plugins/{path.name}"
        for path, plugin in found.items()
        if plugin.fault != loading.GONE or shown(path, config.folder) in config.standing_in
    }


def _sound(config: Config, root: Path, plugins: set[str]) -> Iterator[tuple[Path, bytes]]:
    """Yield where the copy of each sound file belongs, and what the file held when it was read."""
    for plugin in config.registry.files:
        if f"plugins/{plugin.path.name}" in plugins:
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


def _held(copy: Path) -> bytes | None:
    try:
        return read_regular(copy, LONGEST)
    except OSError:
        return None


def _digest(raw: bytes | None) -> str:
    return "" if raw is None else hashlib.sha256(raw).hexdigest()
