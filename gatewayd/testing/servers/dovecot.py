"""A real Dovecot for tests, 2.3 or 2.4: IMAP, POP3 and submission, plain, STARTTLS and TLS with a private CA, on private ports.

It runs as root (mail then belongs to nobody) and as an ordinary user. It keeps everything in a temporary folder; nothing
outside of it is read or changed.
"""

from __future__ import annotations

import base64
import hashlib
import imaplib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import trustme

from gatewayd.testing.servers.dovecot_config import AUDIENCE, ISSUER, NOBODY, command, configuration
from gatewayd.testing.servers.mailboxes import modified_utf7, read_raw, read_snapshot
from gatewayd.testing.servers.proxy import free_ports
from gatewayd.testing.servers.tokens import TokenSigner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime
    from typing import Self

    from gatewayd.testing.servers.mailboxes import Snapshot

__all__ = ["Dovecot"]

_START_SECONDS = 120.0


class Dovecot:
    """One Dovecot. Use it as a context manager; ``settings`` override top-level settings, such as ``ssl="no"``.

    Beyond a hundred IMAP sessions at once it must be told how many. Those have no inotify: see ``mailbox_idle_check_interval``.
    With ``tokens`` it takes access tokens, too, for any user: see ``token``. With ``relay``, the port of an SMTP server on this
    machine, it takes mail by submission and hands it on to that; it needs the package dovecot-submissiond.
    Raises RuntimeError where Dovecot is missing or does not start: its tests fail then, they are never skipped.
    """

    host = "localhost"

    def __init__(self, *, sessions: int = 0, tokens: bool = False, relay: int = 0, **settings: str) -> None:
        binary = shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if binary is None:
            raise RuntimeError("Dovecot is missing; install it: apt-get install dovecot-imapd dovecot-pop3d")
        self._binary = binary
        self._settings = settings
        self._sessions = sessions
        self._tokens = TokenSigner() if tokens else None
        self._relay = relay
        self._count = itertools.count(1)
        self._passwords: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None
        # Its folder is not pytest's: sockets need a short path, and nobody must be able to walk into it.
        self.folder = Path(tempfile.mkdtemp(prefix="dovecot-"))
        self.ca_file = self.folder / "ca.pem"
        self.log_file = self.folder / "dovecot.log"
        self.ports: Mapping[str, int] = {}

    def __enter__(self) -> Self:
        try:
            self._prepare()
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the server and remove its folder."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(30)
            self._process = None
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- users and their mail -------------------------------------------------------------------------------------

    def user(self, name: str, password: str) -> None:
        """Create a user, or give one another password."""
        self._passwords[name] = password
        # A file a user, named by the MD5 of its name: Dovecot looks at most once a second whether a file it knows has changed.
        replacement = self.folder / "users" / "new"
        replacement.write_text(f"{name}:{{PLAIN.b64}}{base64.b64encode(password.encode()).decode()}::::::\n")
        replacement.chmod(0o644)
        # Dovecot reads it anew where its size or its time, in whole seconds, has changed.
        stamp = 1_700_000_000 + next(self._count)
        os.utime(replacement, (stamp, stamp))
        replacement.replace(replacement.with_name(hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()))
        self.password_file(name).write_text(password)

    def token(self, user: str, *, lasts: float = 3600.0, size: int = 2000, **claims: object) -> str:
        """Return a new access token for the mailbox ``user``, of about ``size`` characters, that ends in so many seconds.

        ``claims`` are added to it, or replace ours. Only where the server takes ``tokens``.
        """
        assert self._tokens, "the server takes no tokens"  # noqa: S101  a test's helper
        return self._tokens.token({"sub": user, "upn": user, "aud": AUDIENCE, "iss": ISSUER, **claims}, lasts=lasts, size=size)

    def kick(self, user: str) -> None:
        """End all sessions of a user; the server says goodbye (BYE)."""
        doveadm = shutil.which("doveadm") or "/usr/bin/doveadm"
        command = [doveadm, "-c", str(self.folder / "dovecot.conf"), "kick", user]
        subprocess.run(command, capture_output=True, check=True, timeout=120)  # noqa: S603  our own command

    def password_file(self, name: str) -> Path:
        """Return the file that holds the user's password, for a ``!file`` reference."""
        return self.folder / "passwords" / base64.urlsafe_b64encode(name.encode()).decode()

    def deliver(
        self, user: str, messages: Iterable[bytes], folder: str = "INBOX", *, seen: bool = False, arrival: datetime | None = None
    ) -> int:
        """Put messages into a folder, which is made where it is missing; return how many. UIDs follow their order."""
        box = self._box(user, folder)
        delivered = 0
        for delivered, message in enumerate(messages, 1):  # noqa: B007  used behind the loop
            # Dovecot numbers new files by the time in their names: seconds, then microseconds.
            seconds, micro = divmod(next(self._count), 1_000_000)
            name = f"{1_700_000_000 + seconds}.M{micro:06}P{os.getpid()}.test"
            temporary = box / "tmp" / name
            temporary.write_bytes(message)
            if arrival is not None:
                os.utime(temporary, (arrival.timestamp(), arrival.timestamp()))
            self._give(temporary)
            temporary.rename(box / "cur" / f"{name}:2,S" if seen else box / "new" / name)
        return delivered

    def rewrite(self, user: str, folder: str, function: Callable[[bytes], bytes]) -> None:
        """Change the bytes of every stored message, under the same name; what Dovecot has cached of them is removed."""
        box = self._box(user, folder)
        for file in [*(box / "cur").iterdir(), *(box / "new").iterdir()]:
            times = file.stat()
            temporary = box / "tmp" / file.name
            temporary.write_bytes(function(file.read_bytes()))
            os.utime(temporary, ns=(times.st_atime_ns, times.st_mtime_ns))
            self._give(temporary)
            temporary.replace(file)
        self._forget(box, "dovecot.index*")

    def renumber(self, user: str, folder: str = "INBOX") -> None:
        """Make Dovecot forget the folder's numbers: it gets a new UIDVALIDITY, and its messages new UIDs from 1 on."""
        self._forget(self._box(user, folder), "dovecot.index*", "dovecot-uidlist")
        self._forget(self._root(user), "dovecot.list.index*")

    def back_up(self, user: str) -> Path:
        """Copy a user's whole mailbox, and return where the copy is."""
        copy = self.folder / "home" / f"{user}.{next(self._count)}"
        shutil.copytree(self._root(user), copy)
        return copy

    def restore(self, user: str, copy: Path) -> None:
        """Put a copy back, as it was: UIDVALIDITY stays, and UIDNEXT goes back with it."""
        shutil.rmtree(self._root(user))
        shutil.copytree(copy, self._root(user))
        for path in (self._root(user), *self._root(user).rglob("*")):
            self._give(path)

    def snapshot(self, user: str, folder: str = "INBOX") -> Snapshot:
        """Read a folder's numbers, flags and sizes from outside, without changing any of them."""
        with self.client(user) as imap:
            return read_snapshot(imap, folder)

    def raw(self, user: str, folder: str = "INBOX") -> dict[int, bytes]:
        """Return the bytes of every message as the server gives them, by UID. Marks nothing seen."""
        with self.client(user) as imap:
            return read_raw(imap, folder)

    @contextmanager
    def client(self, user: str) -> Iterator[imaplib.IMAP4]:
        """Give a logged-in client that is none of ours, to look at and change a mailbox from outside."""
        with imaplib.IMAP4("127.0.0.1", self.ports["imap"], timeout=60) as imap:
            imap.authenticate("PLAIN", lambda _: f"\0{user}\0{self._passwords[user]}".encode())
            yield imap

    # --- inside ---------------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        self.folder.chmod(0o755)
        for name in ("run", "state", "users", "passwords", "mail", "home"):
            (self.folder / name).mkdir()
            self._give(self.folder / name)
        for name in ("run", "users"):
            # Processes of several users look into them, whatever mask a test has set.
            (self.folder / name).chmod(0o755)
        if self._tokens:
            self._tokens.write_keys(self.folder / "keys")
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.ca_file)
        authority.issue_cert(self.host, "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(self.folder / "server.pem")

    def _start(self) -> None:
        # A port that was free a moment ago may be taken by now: then once more with others.
        for attempt in itertools.count(1):
            self.ports = dict(zip(("imap", "imaps", "pop3", "pop3s", "submission"), free_ports(5), strict=True))
            config = self.folder / "dovecot.conf"
            config.write_text(
                configuration(
                    self._binary,
                    self.folder,
                    ports=self.ports,
                    sessions=self._sessions,
                    relay=self._relay,
                    settings=self._settings,
                )
            )
            output = (self.folder / "output").open("wb")
            with output:
                self._process = subprocess.Popen(command(self._binary, config), stdout=output, stderr=output)  # noqa: S603  our own command
            if self._is_up():
                return
            if attempt == 3:  # noqa: PLR2004  two further tries
                raise RuntimeError(f"Dovecot does not start:\n{self.log()}")

    def _is_up(self) -> bool:
        assert self._process is not None  # noqa: S101  set by _start
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.ports["imap"]), 30) as connection:
                if connection.recv(100).startswith(b"* OK"):
                    return True
            time.sleep(0.02)
        return False

    def log(self) -> str:
        """Return what Dovecot has said so far."""
        files = (self.folder / "output", self.log_file)
        return "".join(file.read_text(errors="replace") for file in files if file.exists())

    def _root(self, user: str) -> Path:
        return self.folder / "mail" / user

    def _box(self, user: str, folder: str) -> Path:
        name = "" if folder == "INBOX" else f".{modified_utf7(folder).replace('/', '.')}"
        box = self._root(user) / name
        for path in (self._root(user), box, box / "tmp", box / "new", box / "cur"):
            if not path.exists():
                path.mkdir()
                self._give(path)
        return box

    @staticmethod
    def _give(path: Path) -> None:
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY)

    @staticmethod
    def _forget(box: Path, *patterns: str) -> None:
        for pattern in patterns:
            for file in box.glob(pattern):
                file.unlink(missing_ok=True)
