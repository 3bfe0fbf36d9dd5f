"""Dovecot, 2.3 of Debian 12 and 2.4 of Debian 13, by the configuration that all tests use."""

from __future__ import annotations

import hashlib
from pathlib import Path
from string import Template
from typing import ClassVar

import gatewayd.testing.servers
from gatewayd.testing.servers.dovecot_config import NOBODY
from tests.servers.mailserver import Maildirs

__all__ = ["Dovecot23", "Dovecot24"]

_FOLDER = "/srv/dovecot"


class Dovecot23(Maildirs):
    name = "Dovecot 2.3"
    packages = ("dovecot-imapd", "dovecot-pop3d")
    state = (f"{_FOLDER}/mail",)
    language: ClassVar[str] = "dovecot-2.3.conf"

    def configure(self) -> None:
        for name in ("run", "state", "users", "mail", "home"):
            self.room.path(f"{_FOLDER}/{name}").mkdir(parents=True)
        self.room.good(f"chown nobody {_FOLDER}/mail {_FOLDER}/home")
        values = {"folder": _FOLDER, "ssl": "no", "uid": NOBODY, "gid": NOBODY, "processes": 100, "clients": 1000}
        template = (Path(gatewayd.testing.servers.__file__).parent / self.language).read_text()
        text = Template(template).substitute(values, **self.ports, imaps=0, pop3s=0)
        lines = [line for line in text.splitlines() if not line.startswith(("ssl_", "instance_name"))]
        self.room.write("/etc/dovecot/dovecot.conf", "\n".join([*lines, "mailbox_idle_check_interval = 1 secs", ""]))

    def launch(self) -> None:
        self.room.start("dovecot", "-F")

    def user(self, name: str) -> None:
        file = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
        self.room.write(f"{_FOLDER}/users/{file}", f"{name}:{{PLAIN}}pass::::::\n")
        self.make(name)

    def owner(self, user: str) -> tuple[int, int]:
        del user
        return NOBODY, NOBODY

    def home(self, user: str) -> Path:
        return self.room.path(f"{_FOLDER}/mail/{user}")


class Dovecot24(Dovecot23):
    name = "Dovecot 2.4"
    suite = "trixie"
    language = "dovecot-2.4.conf"
