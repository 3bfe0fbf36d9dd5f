"""Servers that mail is sent through: each takes mail for ``target.example`` on this machine and puts it into one Maildir."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from gatewayd.testing.servers.proxy import free_ports
from tests.e2e.house import until
from tests.patience import LONG
from tests.servers.mailserver import speaks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.servers.room import Room

__all__ = ["RELAYS", "Relay"]

#: The largest message that they take, in bytes.
LARGEST = 100_000
_BOX = "/srv/mail/box"


class Relay(ABC):
    """One kind of server in its room. It has no ``nobody@target.example``, and ``busy@target.example`` is put off."""

    name: ClassVar[str]
    suite: ClassVar[str] = "bookworm"
    packages: ClassVar[Sequence[str]]
    #: It can be told to put mail off.
    puts_off: ClassVar[bool] = True
    box: ClassVar[str] = _BOX

    def __init__(self, room: Room) -> None:
        self.room = room
        (self.port,) = free_ports(1)
        self.room.good(f"useradd --uid 1500 --home-dir /srv/mail vmail && install -d -o vmail -g vmail /srv/mail {_BOX}")
        self.room.good(f"cd {_BOX} && install -d -o vmail -g vmail cur new tmp")
        self.configure()
        self.start()

    @abstractmethod
    def configure(self) -> None:
        """Write its configuration."""

    @abstractmethod
    def launch(self) -> None:
        """Start it."""

    def start(self) -> None:
        """Start it, and wait until it speaks."""
        self.launch()
        until(f"something speaks on port {self.port}\n{self.room.said()}", LONG, partial(speaks, self.port))

    def stop(self) -> None:
        """End it."""
        self.room.stop_all()

    def arrived(self, marker: bytes) -> list[bytes]:
        """Return the mail with these bytes in it that has arrived, with the line ends of mail."""
        files = (file.read_bytes() for file in (self.room.path(self.box) / "new").iterdir())
        return [raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") for raw in files if marker in raw]


class Postfix(Relay):
    name = "Postfix"
    packages = ("postfix",)

    def configure(self) -> None:
        self.room.write(
            "/etc/postfix/main.cf",
            f"""
compatibility_level = 3.6
myhostname = mx.target.example
mydestination =
mynetworks = 127.0.0.0/8
inet_protocols = ipv4
virtual_mailbox_domains = target.example
virtual_mailbox_maps = static:box/
virtual_mailbox_base = /srv/mail
virtual_uid_maps = static:1500
virtual_gid_maps = static:1500
message_size_limit = {LARGEST}
mailbox_size_limit = 0
virtual_mailbox_limit = 0
smtpd_recipient_restrictions = check_recipient_access texthash:/etc/postfix/refused, permit_mynetworks, reject
""",
        )
        self.room.write("/etc/postfix/refused", "busy@target.example 450 busy now\nnobody@target.example 550 no such user\n")
        # No service in a chroot, and one port.
        port = rf"s/^smtp +inet .*/127.0.0.1:{self.port} inet n - n - - smtpd/"
        chroot = r"s/^([a-z]+ +(inet|unix) +[-yn] +[-yn] +)[-y] /\1n /"
        self.room.good(f"sed -E -i '{port}; {chroot}' /etc/postfix/master.cf")

    def launch(self) -> None:
        self.room.start("postfix", "start")


class Exim(Relay):
    name = "Exim"
    packages = ("exim4-daemon-heavy",)

    def configure(self) -> None:
        self.room.write(
            "/etc/exim4/exim4.conf",
            f"""
primary_hostname = mx.target.example
local_interfaces = 127.0.0.1
daemon_smtp_ports = {self.port}
message_size_limit = {LARGEST}
acl_smtp_rcpt = rcpt
keep_environment =
begin acl
rcpt:
  defer local_parts = busy
    message = busy now
  deny local_parts = nobody
    message = no such user
  accept
begin routers
box:
  driver = accept
  transport = box
begin transports
box:
  driver = appendfile
  directory = {_BOX}
  maildir_format
  user = vmail
""",
        )

    def launch(self) -> None:
        self.room.start("exim4", "-bdf", "-q1m")


class OpenSmtpd(Relay):
    name = "OpenSMTPD"
    suite = "trixie"
    packages = ("opensmtpd",)

    def configure(self) -> None:
        self.room.write(
            "/etc/smtpd.conf",
            f"""
smtp max-message-size {LARGEST}
table busy {{ "busy@target.example" }}
table nobody {{ "nobody@target.example" }}
filter busy phase rcpt-to match rcpt-to <busy> reject "450 busy now"
filter nobody phase rcpt-to match rcpt-to <nobody> reject "550 no such user"
listen on 127.0.0.1 port {self.port} filter {{ busy, nobody }}
table vmail {{ "@" = vmail }}
action box maildir "{_BOX}" virtual <vmail>
match from any for domain "target.example" action box
""",
        )

    def launch(self) -> None:
        self.room.start("smtpd", "-d")


class CourierMta(Relay):
    name = "courier-mta"
    packages = ("courier-mta", "courier-authlib-userdb")
    puts_off = False

    def configure(self) -> None:
        self.room.good("sed -i 's/^authmodulelist=.*/authmodulelist=\"authuserdb\"/' /etc/courier/authdaemonrc")
        self.room.path("/etc/courier/userdb").mkdir(mode=0o700)
        for user in ("duty@target.example", "archive@target.example"):
            self.room.good(f"userdb users/{user} set uid=1500 gid=1500 home=/srv/mail mail={_BOX}")
        self.room.good("makeuserdb")
        self.room.write("/etc/courier/me", "mx.target.example\n")
        self.room.write("/etc/courier/locals", "localhost\n")
        self.room.write("/etc/courier/hosteddomains/all", "target.example\n")
        self.room.write("/etc/courier/esmtpacceptmailfor.dir/all", "target.example\n")
        self.room.write("/etc/courier/sizelimit", f"{LARGEST}\n")
        self.room.write("/etc/courier/defaultdelivery", f"{_BOX}\n")
        self.room.good("makehosteddomains && makeacceptmailfor")
        with self.room.path("/etc/courier/esmtpd").open("a") as config:
            config.write(f"ADDRESS=127.0.0.1\nPORT={self.port}\nBOFHCHECKDNS=0\nNOADDMSGID=1\nESMTPDSTART=YES\n")

    def launch(self) -> None:
        self.room.good("rm -rf /run/courier; install -d -o courier -g courier /run/courier /run/courier/authdaemon")
        self.room.start("/usr/sbin/authdaemond", "start")
        self.room.start("/usr/sbin/courierfilter", "start")
        self.room.start("/usr/sbin/courier", "start")
        self.room.start("/usr/sbin/esmtpd", "start")


RELAYS: Sequence[type[Relay]] = (Postfix, Exim, OpenSmtpd, CourierMta)
