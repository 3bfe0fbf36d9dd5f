"""popa3d 1.0 and solid-pop3d 0.15, of Debian 12: started by inetd for each connection, on mboxes of users of the system."""

from __future__ import annotations

from typing import ClassVar

from tests.servers.mailserver import Mboxes

__all__ = ["Popa3d", "SolidPop3d"]


class Popa3d(Mboxes):
    name = "popa3d"
    packages = ("popa3d", "openbsd-inetd")
    kinds = ("pop3",)
    program: ClassVar[str] = "popa3d"

    def configure(self) -> None:
        self.room.write(
            "/etc/inetd.conf",
            f"127.0.0.1:{self.ports['pop3']} stream tcp nowait.10000 root /usr/sbin/{self.program} {self.program}\n",
        )

    def launch(self) -> None:
        self.room.start("/usr/sbin/inetd", "-i")


class SolidPop3d(Popa3d):
    name = "solid-pop3d"
    packages = ("solid-pop3d", "openbsd-inetd")
    program = "solid-pop3d"
