"""The system's users that the services run as, and the state folder that is the daemon's.

Releases before let systemd give the service a number at each start (``DynamicUser=``), and its state folder lay in
``/var/lib/private``, which only root can enter. Now ``gatewayd`` has a user of its own; ``gatewayd-web``, which serves the pages,
is in its group.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from gatewayd.cli import output
from gatewayd.errors import PermanentError
from gatewayd.runtime.atomic_files import sync
from gatewayd.runtime.instance import running_daemons

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SYSUSERS", "WEB_USER", "State", "make_users", "sysusers"]

_USER: Final = "gatewayd"
WEB_USER: Final = "gatewayd-web"
#: Where an administrator's own users of the system are named (sysusers.d(5)).
SYSUSERS: Final = "etc/sysusers.d/gatewayd.conf"
_PUBLIC, _PRIVATE = "var/lib/gatewayd", "var/lib/private/gatewayd"
#: In the state folder: the folder of the database.
_STORE: Final = "store"
_SECONDS: Final = 60


class _Owner(NamedTuple):
    uid: int
    gid: int


def sysusers(*, web: bool) -> str:
    """Return the text of ``SYSUSERS``."""
    lines = ["# Written by `gatewayd install`.", f'u {_USER} - "Mail gateway" /var/lib/gatewayd']
    if web:
        lines += ["# It serves the pages, and is in the daemon's group: that may read the database, and ask the daemon."]
        lines += [f'u {WEB_USER} -:{_USER} "Pages of the mail gateway"']
    return "\n".join([*lines, ""])


def make_users(root: Path) -> None:
    """Make the users that ``SYSUSERS`` names, unless they are there; root alone can. Raises PermanentError."""
    program = shutil.which("systemd-sysusers")
    if os.geteuid() != 0 or program is None:
        output.note(f"warning  the service's users are not made: run systemd-sysusers --root={root} {root / SYSUSERS} as root")
        return
    command = [program, f"--root={root}", str(root / SYSUSERS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)  # noqa: S603  our own command
    if done.returncode != 0:
        what = f"the service's users can't be made: {' '.join(done.stderr.split())}"
        raise PermanentError(what, advice=f"Make the users that {root / SYSUSERS} names, and install again.")


class State:
    """The state folder below a root, as the service has it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._public, self._private = root / _PUBLIC, root / _PRIVATE

    def prove_stopped(self) -> None:
        """Raise PermanentError if the folder is to be moved, and a daemon works with it."""
        if self._is_private() and (daemons := running_daemons(self._private)):
            raise PermanentError(
                f"the state folder gets another owner, and the daemon works with it as process {min(daemons)}",
                advice="Stop it, and install again: systemctl stop gatewayd",
            )

    def settle(self, *, web: bool) -> None:
        """Let the folder be the service's: move that of a release before, make what is missing, and set owner and rights.

        ``web``: its group may enter it, and read the database's folder. What was broken off is finished by the next call. Raises
        OSError, and PermanentError where the folder of a release before can't be moved.
        """
        owner = self._owner()
        if owner is None or os.geteuid() != 0:
            return
        if self._is_private():
            self._move(owner)
        for folder, mode in ((self._public, 0o710 if web else 0o700), (self._public / _STORE, 0o750 if web else 0o700)):
            if not folder.is_dir():
                folder.mkdir(mode=0o700, parents=True)
                output.say(f"made     {folder}/")
            folder.chmod(mode)
        _give(self._public, owner)

    def _is_private(self) -> bool:
        return self._private.is_dir() and not self._private.is_symlink()

    def _owner(self) -> _Owner | None:
        """Return the service's user and group; None where there is none."""
        try:
            if self._root == self._root.parent:
                found = pwd.getpwnam(_USER)
                return _Owner(found.pw_uid, found.pw_gid)
            lines = (self._root / "etc/passwd").read_text(errors="replace").splitlines()
        except (KeyError, OSError):
            return None
        fields = next((line.split(":") for line in lines if line.startswith(f"{_USER}:")), None)
        return _Owner(int(fields[2]), int(fields[3])) if fields else None

    def _move(self, owner: _Owner) -> None:
        """Move the folder out of where only root may go. Until the rename it is the folder of a release before, then it is ours."""
        _give(self._private, owner)
        if self._public.is_symlink():
            self._public.unlink()
        elif self._public.is_dir() and not any(self._public.iterdir()):
            self._public.rmdir()
        elif self._public.exists():
            advice = f"Move away the one that is not to be used, and install again; {self._private} is that of the release before."
            raise PermanentError(f"there are two state folders, {self._public} and {self._private}", advice=advice)
        self._private.rename(self._public)
        for folder in (self._public.parent, self._private.parent):
            sync(folder)
        output.say(f"moved    {self._private}/ to {self._public}/")


def _give(top: Path, owner: _Owner) -> None:
    """Give a folder with all that is in it to the service's user; links are not followed."""
    for _, folders, files, here in os.fwalk(top, topdown=False):
        for name in (*folders, *files):
            _give_one(name, owner, here)
    _give_one(str(top), owner)


def _give_one(name: str, owner: _Owner, folder: int | None = None) -> None:
    # A daemon may be at work here, and remove a spool.
    with suppress(FileNotFoundError):
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if (found.st_uid, found.st_gid) != owner:
            os.chown(name, *owner, dir_fd=folder, follow_symlinks=False)
