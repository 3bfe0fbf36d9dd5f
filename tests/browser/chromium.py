"""Debian's Chromium for tests: few at once, each with a profile of its own, and with no network beyond this machine.

Whatever it asks other hosts for goes to a proxy, which writes it down and refuses it.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import socket
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from playwright.sync_api import sync_playwright

from tests.patience import LONG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

__all__ = ["Asked", "Outside", "barriers", "chromium", "one_of_few", "signed_in"]

#: How many run at once on a machine, whatever the number of processes that run tests.
_AT_ONCE = 2
#: What it wants to know by itself: whether there is a newer one, and who is logged in at its maker's.
_CHROMIUMS_OWN = re.compile(r"[A-Z]+ (?:https?://)?[a-z0-9.\-]+\.(?:google|googleapis|gvt1)\.com[:/]")
_ARGUMENTS = ("--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu")


@contextmanager
def one_of_few() -> Iterator[None]:
    """Wait until few others are within this block, in any process."""
    places = [Path(tempfile.gettempdir(), f"gatewayd-chromium-{os.getuid()}-{number}.lock") for number in range(_AT_ONCE)]
    while True:
        for place in places:
            with place.open("w") as file, suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield
                return
        time.sleep(0.2)


class Outside:
    """Stands for all hosts but this one: a proxy that notes what it is asked for, and refuses it."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._asked: list[str] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(30)

    @property
    def port(self) -> int:
        port: int = self._listening.getsockname()[1]
        return port

    def asked(self) -> list[str]:
        """Return the first lines of all requests so far, such as ``GET http://a.example/ HTTP/1.1``."""
        return [line for line in self._asked if not _CHROMIUMS_OWN.match(line)]

    def forget(self) -> None:
        """Begin anew."""
        self._asked.clear()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                with connection, suppress(OSError):
                    connection.settimeout(5)
                    self._asked.append(connection.recv(4096).partition(b"\r\n")[0].decode("latin-1"))
                    connection.sendall(b"HTTP/1.1 502 Nobody\r\nContent-Length: 6\r\nConnection: close\r\n\r\nNobody")


class Asked:
    """The addresses that a page asked for, in their order, those included that it was refused."""

    def __init__(self, page: Page) -> None:
        self.urls: list[str] = []
        page.on("request", lambda request: self.urls.append(request.url))

    def of(self, host: str) -> list[str]:
        """Return those of a host."""
        return [url for url in self.urls if url.partition("://")[2].startswith(host)]


def signed_in(browser: Browser, url: str, token: str) -> Page:
    """Return a new page of a browser profile of its own, which has a web session of the site at ``url``."""
    context = browser.new_context()
    context.set_default_timeout(LONG * 1000)
    context.add_cookies([{"name": "gatewayd", "value": token, "url": url, "httpOnly": True, "sameSite": "Strict"}])
    return context.new_page()


def barriers(page: Page) -> list[str]:
    """Return what axe finds on a page against WCAG 2.2 AA: the rule, how serious it is, and where."""
    page.evaluate((Path(__file__).parent / "vendor/axe.min.js").read_text())
    found = page.evaluate("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']})")
    return [f"{one['id']} ({one['impact']}): {node['html'][:200]}" for one in found["violations"] for node in one["nodes"]]


@contextmanager
def chromium(outside: Outside) -> Iterator[Browser]:
    """Run a browser, which ends with the block. Within a block nothing else in this thread may use asyncio."""
    program = shutil.which("chromium")
    assert program, "Chromium is missing: ./gw test installs it"
    with one_of_few(), tempfile.TemporaryDirectory() as own, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=[*_ARGUMENTS],
            proxy={"server": f"http://127.0.0.1:{outside.port}", "bypass": "127.0.0.1"},
            env={**os.environ, "HOME": own, "XDG_CONFIG_HOME": own, "XDG_CACHE_HOME": own, "TMPDIR": own},
        )
        information = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")
        processes = [int(one["id"]) for one in information["processInfo"] if one["type"] == "browser"]
        try:
            yield browser
        finally:
            browser.close()
            for process in processes:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
