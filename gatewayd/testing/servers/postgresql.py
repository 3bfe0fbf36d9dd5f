"""A real PostgreSQL server for tests: private, on a socket in a temporary folder, without durable writes.

It runs as root (the server then belongs to nobody, because it refuses root) and as an ordinary user. Nothing outside its
folder is read or changed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Postgresql"]

_START_SECONDS = 120.0
_NOBODY = 65534

#: A server whose data may be lost with its machine, and, unless a client asks for more, with its own crash.
_HASTY = (
    *("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=50", "listen_addresses="),
    # Its folder may lie in memory; by default it keeps 1 GB of log.
    *("min_wal_size=32MB", "max_wal_size=64MB"),
)
_URL = "postgresql://postgres@/"


class Postgresql:
    """One PostgreSQL server. Use it as a context manager.

    Raises RuntimeError where PostgreSQL is missing or does not start: its tests fail then, they are never skipped.
    """

    def __init__(self) -> None:
        # Debian keeps the server's programs out of the path, the newest version last.
        places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: (len(path.parent.name), path.parent.name))
        path = os.pathsep.join([*(str(place) for place in reversed(places)), os.environ.get("PATH", "")])
        self._postgres, self._initdb = shutil.which("postgres", path=path), shutil.which("initdb", path=path)
        if self._postgres is None or self._initdb is None:
            raise RuntimeError("PostgreSQL is missing; install it: apt-get install postgresql")
        # Its folder is not pytest's: sockets need a short path, and nobody must be able to walk into it.
        self.folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
        self._process: subprocess.Popen[bytes] | None = None
        #: The URL of an empty database.
        self.url = self._url("postgres")
        self._databases = count(1)

    def __enter__(self) -> Self:
        try:
            if os.geteuid() == 0:
                os.chown(self.folder, _NOBODY, _NOBODY)
            arguments = ("--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
            self._run(str(self._initdb), *arguments, str(self._data)).wait(_START_SECONDS)
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def new_database(self) -> str:
        """Make an empty database, and return its URL."""
        name = f"test{next(self._databases)}"
        self._tool("createdb", name)
        return self._url(name)

    def drop(self, url: str) -> None:
        """Remove a database that ``new_database`` made, whoever still has it open."""
        self._tool("dropdb", "--force", url.removeprefix(_URL).partition("?")[0])

    def _tool(self, name: str, *arguments: str) -> None:
        program = str(Path(str(self._postgres)).with_name(name))
        command = [program, "-h", str(self.folder), "-U", "postgres", *arguments]
        subprocess.run(command, check=True, timeout=_START_SECONDS)  # noqa: S603  our own command

    def crash(self) -> None:
        """End it as a crash would: nobody is told, and at the next start it recovers what was committed."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(_START_SECONDS)
            self._process = None

    def _url(self, name: str) -> str:
        return f"{_URL}{name}?host={self.folder}"

    def start(self) -> None:
        """Start it, also again after a crash. Raises RuntimeError where that takes too long."""
        settings = [word for setting in _HASTY for word in ("-c", setting)]
        self._process = self._run(str(self._postgres), "-D", str(self._data), "-k", str(self.folder), *settings)
        status = self._data / "postmaster.pid"
        deadline = time.monotonic() + _START_SECONDS
        pid = str(self._process.pid)
        # The last line of this file is what pg_ctl waits for, too.
        while not (status.exists() and (text := status.read_text().rstrip()).startswith(pid) and text.endswith("ready")):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL does not start:\n{self.log()}")
            time.sleep(0.02)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _run(self, *command: str) -> subprocess.Popen[bytes]:
        with (self.folder / "output").open("ab") as output:
            if os.geteuid() != 0:
                return subprocess.Popen(command, stdout=output, stderr=output)  # noqa: S603  our own command
            return subprocess.Popen(  # noqa: S603  our own command
                command, stdout=output, stderr=output, cwd=self.folder, user=_NOBODY, group=_NOBODY, extra_groups=[]
            )

    def log(self) -> str:
        """Return what the server has said so far."""
        return (self.folder / "output").read_text(errors="replace")

    def stop(self) -> None:
        """End the server and remove its folder."""
        if self._process is not None:
            # A fast shutdown: it throws clients out.
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(30)
            self._process = None
        shutil.rmtree(self.folder, ignore_errors=True)
