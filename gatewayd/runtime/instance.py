"""This process as a holder of leases: its name, a folder for its spools, and a lock by which others see that it has ended.

A lease must outlive a short pause of its holder, but nobody should wait for the lease of a process that was killed. So every
holder locks a file in a folder of its own below the state folder; the operating system releases the lock when the process
ends, however it ends. Holders with another state folder are only judged by the time of their lease. So are holders with a copy
of this one, as on a second machine that began as a copy: a lock that nobody holds here may be held there.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import socket
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from gatewayd.api.spool import Spool
from gatewayd.errors import ConfigError
from gatewayd.runtime.privileges import become_owner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

__all__ = ["Instance", "Role", "enter", "has_ended", "host_and_process", "prepare", "process_of", "running_daemons"]

#: The kind of process that an instance is, for those who can't ask the store.
Role: TypeAlias = Literal["daemon", "command"]

#: An id that changes at each start of a machine (random(4)). The service may not be allowed to read it.
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def enter(state: Path) -> None:
    """If this is root, become the user of the state folder, if that exists: no plugin's code runs as root.

    Errors are left to ``prepare``, which reports them.
    """
    with suppress(OSError):
        become_owner(state)


def prepare(state: Path) -> None:
    """Create the state folder; if this is root, become its user first, so that no file in it belongs to root.

    From here on, files that this process creates are for its user alone. Raises ConfigError if the folder can't be used.
    """
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        become_owner(state)
    except PermissionError as error:
        what = f"the state folder {state} can't be used by user {os.geteuid()}: {error.strerror}"
        raise ConfigError(what, advice="Run this as root or as the service's user, or correct `state`.") from error
    except OSError as error:
        why = "it is a link to what is not there" if state.is_symlink() and not state.exists() else error.strerror
        why = "it is no folder" if state.exists() and not state.is_dir() else why
        raise ConfigError(f"the state folder {state} can't be made: {why}", advice="Correct `state`.") from error
    os.umask(0o077)


class Instance:
    """A holder of leases, until ``close`` or the end of the process."""

    def __init__(self, state: Path, role: Role = "command") -> None:
        """Create this holder's folder below ``state``, and remove those of holders that have ended, with their spools.

        Raises OSError if the state folder can't be written.
        """
        self._folders = state / "owners"
        self._folders.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._numbers = count(1)
        token = secrets.token_hex(8)
        self._folder = self._folders / token
        with self._locked():
            home = self._folders / ".home"
            if not home.exists():
                home.write_text(secrets.token_hex(8))
            for folder in self._folders.iterdir():
                if folder.is_dir() and _abandoned(folder):
                    shutil.rmtree(folder, ignore_errors=True)
            self._folder.mkdir(mode=0o700)
            self._lock = (self._folder / "lock").open("xb", buffering=0)
            self._lock.write(f"{role} {os.getpid()}\n".encode())
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        #: Host and process, for people; state folder and own folder, for ``dead``.
        self.name = f"{socket.gethostname()}:{os.getpid()}:{_home(self._folders)}:{token}"

    def spool(self) -> Spool:
        """Return a new spool in this holder's folder."""
        return Spool(self._folder / f"{next(self._numbers)}.spool")

    def write(self, name: str, text: str) -> None:
        """Write a file in this holder's folder, whole or not at all; raises OSError."""
        new = self._folder / f".{name}"
        new.write_text(text)
        new.replace(self._folder / name)

    def dead(self, name: str) -> bool:
        """Whether the holder called ``name`` has surely ended; False if that can't be seen from here."""
        return has_ended(self._folders.parent, name)

    def close(self) -> None:
        """Remove this holder's folder."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Let one process at a time create, judge and remove the folders of holders."""
        with (self._folders / ".door").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def has_ended(state: Path, name: str) -> bool:
    """Whether the holder called ``name`` has surely ended; False if this state folder can't tell. Writes nothing."""
    host, _, home, token = ["", "", "", *name.rsplit(":", 3)][-4:]
    folders = state / "owners"
    try:
        return token.isalnum() and _lives_here(host, home, _home(folders)) and _abandoned(folders / token)
    except OSError:
        return False


def _home(folders: Path) -> str:
    """Return an id of these folders, which even a copy does not share, and after a dot the id of this start of the machine."""
    try:
        boot = _BOOT.read_text().strip().replace("-", "")[:12]
    except OSError:
        boot = ""
    return f"{(folders / '.home').read_text()}.{folders.stat().st_ino:x}.{boot}"


def _lives_here(host: str, home: str, here: str) -> bool:
    """Whether a holder's folder is among these, and not among those of a copy of the whole machine."""
    theirs, _, boot = home.rpartition(".")
    ours, _, booted = here.rpartition(".")
    return theirs == ours and (host == socket.gethostname() or (boot == booted != ""))


def _abandoned(folder: Path) -> bool:
    """Whether nobody has the lock of a holder's folder; raises OSError if that can't be seen."""
    try:
        with (folder / "lock").open("rb") as lock:
            # A shared lock, since many may look at once; the holder's own lock is exclusive.
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return True
    except BlockingIOError:
        return False
    return True


def running_daemons(state: Path) -> dict[int, Path]:
    """Return the running daemons with this state folder, whatever the state of the store: their folders by process id.

    Writes nothing.
    """
    found: dict[int, Path] = {}
    for lock in sorted((state / "owners").glob("*/lock")):
        try:
            with lock.open("rb") as opened:
                role, _, pid = opened.read(100).decode().strip().partition(" ")
                fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            found |= {int(pid): lock.parent} if role == "daemon" and pid.isdigit() else {}
        except (OSError, ValueError):
            # It has just ended, or the file is not ours.
            continue
    return found


def host_and_process(name: str) -> str:
    """Return the name of a holder as people want to read it."""
    host, pid, *_ = [*name.split(":"), "", ""]
    return f"process {pid} on {host}"


def process_of(name: str) -> int:
    """Return the number of the process of a holder, as it is on its own host; 0 for a name that has none."""
    number = [*name.rsplit(":", 3), "", ""][1]
    return int(number) if number.isascii() and number.isdigit() else 0
