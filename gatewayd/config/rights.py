"""Find files and folders of the config that others could change, and secrets that others could read, by their rights."""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from gatewayd.config.folder import shown
from gatewayd.config.main import FILE
from gatewayd.errors import Fault
from gatewayd.runtime.privileges import mighty

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewayd.config.values import Config

__all__ = ["exposed", "ours_alone", "right_faults"]

_GROUP_READS, _GROUP_WRITES, _OTHERS_READ, _OTHERS_WRITE = 0o040, 0o020, 0o004, 0o002
#: Nobody else gets through a folder that has neither of these.
_OTHERS_PASS = 0o011


def exposed(path: Path, *, secret: bool = False) -> str:
    """Return who else could change a file or folder, or read it if it is ``secret``; empty where nobody could.

    Else than root, that is, and than this process's user, unless the process has more power than that user. What is not
    there, or may not be looked at, is exposed to nobody.
    """
    try:
        found = path.stat()
        reached = all(folder.stat().st_mode & _OTHERS_PASS for folder in path.resolve().parents)
    except OSError:
        return ""
    if found.st_uid not in ({0} if mighty() else {0, os.geteuid()}):
        return f"it belongs to user {found.st_uid}"
    # By convention a user has a group of the same number, and is alone in it.
    group = found.st_gid not in {0, found.st_uid}
    may = [
        ("everybody may change it", _OTHERS_WRITE),
        (f"group {found.st_gid} may change it", _GROUP_WRITES * group),
        ("everybody may read it", _OTHERS_READ * secret),
        (f"group {found.st_gid} may read it", _GROUP_READS * (group and secret)),
    ]
    return next((what for what, bits in may if reached and found.st_mode & bits), "")


def ours_alone(path: Path) -> bool:
    """Whether nobody else could change a file, or put another one in its place."""
    real = path.resolve()
    return not exposed(real) and not any(map(_replaceable, real.parents))


def _replaceable(folder: Path) -> str:
    """Return who else could replace files in a folder. In one such as /tmp everybody can remove only his own."""
    try:
        return "" if folder.stat().st_mode & stat.S_ISVTX else exposed(folder)
    except OSError:
        return ""


def right_faults(config: Config) -> tuple[Fault, ...]:
    """Return for each file and folder of the config that somebody else could change, or read though it is secret, who could.

    They are warnings: the config is used all the same.
    """
    found = {path: _replaceable(path) for path in config.folder.resolve().parents}
    found |= {path: exposed(path) for path in _ours(config)}
    found |= {path: exposed(path, secret=True) for path in _secrets(config)}
    mend = {path: f": `chmod 600 {shlex.quote(str(path))}`" for path in _secrets(config) if " may " in found[path]}
    what = "{}, expected that nobody can but root and the service's user{}"
    names = {path: str(path) if path == config.folder else shown(path, config.folder) for path in found}
    return tuple(sorted(Fault(file=names[path], what=what.format(who, mend.get(path, ""))) for path, who in found.items() if who))


def _ours(config: Config) -> Iterator[Path]:
    yield from (config.folder, config.folder / FILE)
    for group in ("operators", "accounts"):
        yield from (config.folder / group, *_within(config.folder / group, ".yaml"))
    yield config.folder / "credentials"
    if config.plugins_folder:
        yield from (config.plugins_folder, *_within(config.plugins_folder, ".py"))


def _secrets(config: Config) -> Iterator[Path]:
    yield from _within(config.folder / "credentials", "")
    yield from (Path(use.secret.name) for use in config.secrets if use.secret.by == "file")


def _within(folder: Path, end: str) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.name.endswith(end)]
    except OSError:
        return []
