"""The whole of gatewayd with its pages, for a test: servers with mail, a daemon, the web process, and people who are logged in."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import socket
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from gatewayd import Folders, config, give_password
from gatewayd.access.tokens import digest_of, new_token
from gatewayd_sql.store import Sql
from tests.e2e.house import House, until
from tests.e2e.warm import warm

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["USERS", "Answer", "Site", "free_port"]

USERS = (
    "users:\n"
    "  irina: {name: Irina Mari, email: irina@acme.example}\n"
    "  tom: {name: Tom Berg, email: tom@acme.example}\n"
    "  rea: {name: Rea Read, email: rea@acme.example, role: reader}\n"
    "  max: {name: Max Manager, email: max@acme.example, role: manager}\n"
)


def free_port() -> int:
    """Return a port that nobody listens at now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@dataclass(frozen=True)
class Answer:
    """What the web process answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The page."""
        return self.body.decode()


class Site(House):
    """A house whose gatewayd has pages. Its daemon and its web process run while ``running`` lasts."""

    def __init__(self, folder: Path, *, store: str = "") -> None:
        super().__init__(folder, store=store)
        self.port = free_port()
        text = (self.folder / "gatewayd.yaml").read_text()
        self.write("gatewayd.yaml", f"{text}web: {{listen: '127.0.0.1:{self.port}'}}\n")

    @property
    def url(self) -> str:
        """Where the pages are."""
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the daemon and the web process."""
        with self.daemon(), self.web():
            yield

    @contextmanager
    def web(self) -> Iterator[None]:
        """Run the web process alone."""
        log = self.state.parent / "web.log"
        with log.open("ab") as output:
            process = warm().start(["--config", str(self.folder), "web"], {}, output.fileno(), output.fileno(), is_counted=False)
        try:
            until(f"the pages are there\n{log.read_text()}", 20, lambda: self._is_there() or process.poll() is not None)
            assert process.poll() is None, log.read_text()
            yield
        finally:
            process.kill()
            process.wait(30)
            print(f"web.log:\n{log.read_text()}")
            assert "Traceback" not in log.read_text()

    def password(self, user: str, password: str, operator: str = "acme") -> None:
        """Give a user a password, as `gatewayd user password` does."""
        place = Folders(config=self.folder, state=self.state)
        with closing(Sql(Sql.Options(url=self.store or None), place=place)) as store:
            store.open()
            give_password(config.current(self.folder), store, operator, user, password)

    def token(self, user: str, operator: str = "acme") -> str:
        """Return the token of a new web session of a user."""
        place = Folders(config=self.folder, state=self.state)
        with closing(Sql(Sql.Options(url=self.store or None), place=place)) as store:
            store.open()
            token = new_token()
            digest = digest_of(token) or b""
            known = store.know_user(operator, user)
            store.add_web_session(known.id, digest, address="127.0.0.1", agent="test", idle=3600, longest=36000)
            return token

    @staticmethod
    def csrf(token: str) -> str:
        """Return what the forms of a web session carry."""
        return hmac.new(token.encode(), b"form", hashlib.sha256).hexdigest()

    def _is_there(self) -> bool:
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    def ask(
        self, path: str, *, form: Mapping[str, object] | None = None, token: str = "", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Ask for a page as a browser does that has this web session; with a ``form`` by POST."""
        sent = {"Cookie": f"gatewayd={token}"} if token else {}
        body = None
        if form is not None:
            body = urlencode(form, doseq=True)
            sent |= {"Content-Type": "application/x-www-form-urlencoded", "Origin": self.url, "Sec-Fetch-Site": "same-origin"}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET" if form is None else "POST", path, body, {**sent, **(headers or {})})
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()
