"""Cyrus IMAP, of Debian 12: mail comes by LMTP, and is in files and databases of its own."""

from __future__ import annotations

import imaplib
import smtplib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gatewayd.testing.servers.proxy import free_ports
from tests.servers.mailserver import MailServer, closed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Cyrus"]

_IMAPD = """
configdirectory: /var/lib/cyrus
defaultpartition: default
partition-default: /var/spool/cyrus/mail
admins: cyrus
servername: localhost
altnamespace: no
unixhierarchysep: no
allowplaintext: yes
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_mech_list: PLAIN LOGIN
popminpoll: 0
munge8bit: no
lmtp_downcase_rcpt: yes
idlesocket: /run/cyrus/socket/idle
lmtpsocket: /run/cyrus/socket/lmtp
notifysocket: /run/cyrus/socket/notify
syslog_prefix: cyrus
"""
_CYRUS = """
START {{
  recover cmd="/usr/sbin/cyrus ctl_cyrusdb -r"
  idled cmd="idled"
}}
SERVICES {{
  imap cmd="imapd" listen="127.0.0.1:{imap}" prefork=0 maxchild=50
  pop3 cmd="pop3d" listen="127.0.0.1:{pop3}" prefork=0 maxchild=50
  lmtp cmd="lmtpd -a" listen="127.0.0.1:{lmtp}" prefork=0 maxchild=20
}}
EVENTS {{
}}
"""


class Cyrus(MailServer):
    name = "Cyrus 3.6"
    packages = ("cyrus-imapd", "cyrus-pop3d", "sasl2-bin", "libsasl2-modules", "libsasl2-modules-db")
    state = ("/var/lib/cyrus", "/var/spool/cyrus/mail")
    other = "INBOX.Travel"

    def configure(self) -> None:
        (self._lmtp,) = free_ports(1)
        self.room.write("/etc/imapd.conf", _IMAPD)
        self.room.write("/etc/cyrus.conf", _CYRUS.format(**self.ports, lmtp=self._lmtp))
        self.room.good("/usr/lib/cyrus/bin/cyrus-makedirs || install -d -o cyrus -g mail /run/cyrus /run/cyrus/socket")
        self._password("cyrus")

    def launch(self) -> None:
        self.room.start("/usr/lib/cyrus/bin/master", "-p", "/run/cyrus-master.pid")

    def user(self, name: str) -> None:
        self._password(name)
        with self._admin() as imap:
            said = imap.create(f"user.{name}")
            assert said[0] == "OK", said

    def deliver(self, user: str, messages: Iterable[bytes]) -> None:
        with smtplib.LMTP("127.0.0.1", self._lmtp) as lmtp:
            for message in messages:
                lmtp.sendmail("eve@example.com", [user], message)

    def empty(self, user: str) -> None:
        with self._admin() as imap:
            imap.setacl(f"user.{user}", "cyrus", "lrswipkxtecda")
            said = imap.delete(f"user.{user}")
            assert said[0] == "OK", said
            imap.create(f"user.{user}")

    def take_away(self, user: str, marker: bytes) -> None:
        number = next(number for number, raw in enumerate(self.raws("imap", user), 1) if marker in raw)
        with self.imap(user) as imap:
            imap.select("INBOX")
            imap.store(str(number), "+FLAGS", r"(\Deleted)")
            imap.expunge()

    @contextmanager
    def unreadable(self, user: str, marker: bytes) -> Iterator[None]:
        folder = self.room.path(self.room.good(f"/usr/lib/cyrus/bin/mbpath user.{user}").strip())
        file = next(file for file in folder.glob("[0-9]*.") if marker in file.read_bytes())
        with closed(lambda: file):
            yield

    def _password(self, name: str) -> None:
        self.room.good(f"echo pass | saslpasswd2 -p -c -u localhost {name}; chown cyrus /etc/sasldb2")

    @contextmanager
    def _admin(self) -> Iterator[imaplib.IMAP4]:
        with imaplib.IMAP4("127.0.0.1", self.ports["imap"], timeout=60) as client:
            client.login("cyrus", "pass")
            yield client
