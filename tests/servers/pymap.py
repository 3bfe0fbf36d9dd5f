"""pymap, as the demo has it, but on Maildirs."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.servers.mailserver import Maildirs

__all__ = ["Pymap"]

_HOME = "/mail"
#: ``pass``, as pymap keeps it.
_PASSWORD = "$pbkdf2-sha256$1000$0NDBqyVQbuoHMZk3395oDQ==$pmvxbtA89UPOax17R2x75pV0JCPBb5VGONlt1BH/hig="


class Pymap(Maildirs):
    name = "pymap"
    suite = ""
    packages = ()
    kinds = ("imap",)
    state = (_HOME,)

    def configure(self) -> None:
        self.room.path(_HOME).mkdir()

    def launch(self) -> None:
        program = str(Path(sys.executable).with_name("pymap"))
        port = str(self.ports["imap"])
        folder = str(self.room.path(_HOME))
        self.room.start(program, "--host", "127.0.0.1", "--port", port, "--no-tls", "maildir", folder, "--layout", "fs")

    def user(self, name: str) -> None:
        for file, line in {"passwd": f"{name}:::::{name}:", "shadow": f"{name}:{_PASSWORD}:::::::"}.items():
            with self.room.path(f"{_HOME}/pymap-etc-{file}").open("a") as users:
                users.write(f"{line}\n")
        self.make(name)

    def owner(self, user: str) -> tuple[int, int]:
        del user
        return 0, 0

    def home(self, user: str) -> Path:
        return self.room.path(f"{_HOME}/{user}")
