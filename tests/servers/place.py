"""One user of one server, and gatewayd with an account of it."""

from __future__ import annotations

import hashlib
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gatewayd.testing.messages import booking_messages
from gatewayd.testing.servers.proxy import FaultProxy
from tests.e2e.house import House, until
from tests.servers.expected import EXPECTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from typing import Literal

    from tests.servers.mailserver import Kind, MailServer

#: Seconds within which custody comes to be proven, on a quiet machine.
SECONDS = 30.0

__all__ = ["Place", "marker", "new_mail"]


def new_mail(count: int, seed: int) -> list[bytes]:
    """Messages that no two seeds share."""
    return list(booking_messages(count, seed=seed))


def marker(raw: bytes) -> bytes:
    """What no other message contains: its Message-ID."""
    found = re.search(rb"(?mi)^Message-ID: *(<\S+>)", raw)
    assert found
    return found[1]


def digests(raws: Iterable[bytes]) -> list[str]:
    return sorted(hashlib.sha256(raw).hexdigest() for raw in raws)


class Place:
    """A new user of a server, and gatewayd on a database of its own."""

    def __init__(self, server: MailServer, kind: Kind, folder: Path, user: str) -> None:
        self.server, self.kind, self.user = server, kind, user
        server.user(user)
        self.house = House(folder)
        self.house.operator("acme", matchers="[reservations]", reservations="id,code,title\nR756,B-756,Rome\n")
        self.folder = "INBOX"
        #: Where gatewayd finds the server.
        self.port = server.ports[kind]
        self.account()
        #: What imports said so far.
        self.told: list[str] = []
        #: Why this server is told as what it is, in this scenario.
        self.because = ""

    def account(self, *, after: str = "keep", every: str = "1h", folder: str = "") -> None:
        """Write the account anew."""
        self.folder = folder or self.folder
        self.house.account(
            "main",
            self.kind,
            self.port,
            self.user,
            folders=f"[{self.folder}]",
            imports=f"  every: {every}\n  after: {after}\n",
        )

    def deliver(self, *messages: bytes) -> None:
        """Have mail come."""
        self.server.deliver(self.user, messages)

    def raws(self) -> list[bytes]:
        """What the server has now, as another program sees it."""
        return self.server.raws(self.kind, self.user, self.folder)

    def imports(self) -> dict[str, Any]:
        """Import, whatever comes of it."""
        done = self.house.run("import", "main", "--json")
        assert done.rows, done.err
        row = done.rows[0]
        self.told += [done.err, *row["problems"], *row["notes"], row["error"] or ""]
        return {**row, "said": done.err}

    def filed(self) -> int:
        """How many messages are filed."""
        (row,) = self.house.read("SELECT count(DISTINCT mail_id) FROM filing")
        return int(row[0])

    def proven(self) -> str:
        """Return what an audit says in place of being content."""
        audit = self.house.run("audit", "main")
        return "" if audit.code == 0 else audit.err

    @contextmanager
    def interrupted(self, at: bytes, do: Callable[[], object]) -> Iterator[None]:
        """Do something when gatewayd says this to the server, before the server hears of it; once."""
        left = [do]

        def hear(_connection: int, by: Literal["client", "server"], piece: bytes) -> None:
            if by == "client" and left and re.search(at, piece):
                left.pop()()

        with FaultProxy("127.0.0.1", self.server.ports[self.kind]) as proxy:
            proxy.hear = hear
            self.port = proxy.port
            yield
        self.port = self.server.ports[self.kind]
        assert not left, f"it never said {at!r}"

    def settles(self, seconds: float = 60) -> str:
        """Import until nothing is left to do and custody is proven, for a time; return what is said in place of that."""
        said = ""

        def sound() -> bool:
            nonlocal said
            row = self.imports()
            said = "\n".join([row["said"], *row["problems"], row["error"] or "", self.proven()]).strip()
            return not said and not any(row[name] for name in ("filed", "duplicate", "deferred", "settled"))

        try:
            until("custody is proven", seconds, sound)
        except AssertionError:
            return said
        return ""

    def sound(self, scenario: str) -> None:
        """Custody comes to be proven; and where that is not all, because of the server, what is so is told."""
        told = EXPECTED.get((f"{self.server.name} {self.kind}", scenario))
        said = self.settles(5 if told and not told.proven else SECONDS)
        if told:
            self.told.append(said)
            self.known(scenario)
        if not told or told.proven:
            assert said == "", f"{said}\n{self.server.room.said()}"

    def known(self, scenario: str) -> None:
        """What was told is what is known of this server."""
        told = EXPECTED[f"{self.server.name} {self.kind}", scenario]
        assert re.search(told.says, "\n".join(self.told))
        self.because = told.because
