"""Courier IMAP 5.0 and its POP3 server, of Debian 12: Maildirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.servers.mailserver import CRYPTED, Maildirs

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Courier"]

_HOME = "/srv/courier"
_OWNER = 1500
_FILES = {"imap": "imapd", "pop3": "pop3d"}


class Courier(Maildirs):
    name = "Courier"
    packages = ("courier-imap", "courier-pop", "courier-authdaemon", "courier-authlib-userdb")
    state = (_HOME,)
    other = "INBOX.Travel"

    def configure(self) -> None:
        self.room.path(_HOME).mkdir()
        # A user with a name: else what tells the server of changed files does not start, and is waited for.
        self.room.good(f"useradd --uid {_OWNER} vmail")
        self.room.path("/etc/courier/userdb").mkdir(mode=0o700)
        self.room.good("sed -i 's/^authmodulelist=.*/authmodulelist=\"authuserdb\"/' /etc/courier/authdaemonrc")
        for kind, file in _FILES.items():
            with self.room.path(f"/etc/courier/{file}").open("a") as config:
                config.write(f"ADDRESS=127.0.0.1\nPORT={self.ports[kind]}\nMAXPERIP=50\nIMAP_ENHANCEDIDLE=1\n")

    def launch(self) -> None:
        self.room.good("rm -rf /run/courier; install -d -o courier -g courier /run/courier /run/courier/authdaemon")
        for program in ("authdaemond", *_FILES.values()):
            self.room.start(f"/usr/sbin/{program}", "start")

    def user(self, name: str) -> None:
        self.make(name)
        fields = f"uid={_OWNER} gid={_OWNER} home={_HOME}/{name} mail={_HOME}/{name}/Maildir systempw='{CRYPTED}'"
        self.room.good(f"userdb users/{name} set {fields} && makeuserdb")

    def owner(self, user: str) -> tuple[int, int]:
        del user
        return _OWNER, _OWNER

    def home(self, user: str) -> Path:
        return self.room.path(f"{_HOME}/{user}/Maildir")
