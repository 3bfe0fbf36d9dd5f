"""GNU mailutils 3.15, of Debian 12: its IMAP server, on Maildirs of users of the system."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.servers.mailserver import CRYPTED, Maildirs

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["MailutilsImap"]

_CONFIG = """
mode daemon;
foreground yes;
logging {{ syslog yes; }}
tcp-wrappers {{ enable no; }}
auth {{
  authorization system;
  authentication generic:system;
}}
max-children 50;
server 127.0.0.1:{port} {{
  tls-mode no;
}}
{more}
"""
_IMAP4D = """
mailbox { mailbox-pattern "maildir:/home/${user}/Maildir"; mailbox-type maildir; }
namespace personal {
  prefix "" { directory "/home/${user}/Folders"; delimiter "/"; mailbox-type maildir; }
}
"""


class MailutilsImap(Maildirs):
    name = "mailutils"
    packages = ("mailutils-imap4d",)
    kinds = ("imap",)
    state = ("/home",)
    announces = False
    settles = "seen"

    def configure(self) -> None:
        self.room.write("/etc/imap4d.conf", _CONFIG.format(port=self.ports["imap"], more=_IMAP4D))

    def launch(self) -> None:
        self.room.start("imap4d", "--no-site-config", "--config-file=/etc/imap4d.conf")

    def user(self, name: str) -> None:
        self.room.good(f"useradd --create-home --password '{CRYPTED}' {name}")
        self.make(name)
        self.room.good(f"install -d -o {name} -g {name} /home/{name}/Folders")

    def deliver(self, user: str, messages: Iterable[bytes]) -> None:
        super().deliver(user, messages)
        # Mail that nobody has opened for writing gets other numbers each time that it is listed.
        with self.imap(user) as imap:
            imap.select("INBOX")

    def owner(self, user: str) -> tuple[int, int]:
        return self.room.ids(user)

    def home(self, user: str) -> Path:
        return self.room.path(f"/home/{user}/Maildir")
