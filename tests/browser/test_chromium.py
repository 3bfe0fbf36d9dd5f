"""What the tests of pages rely on: a browser that reaches nobody, and whose requests are all seen."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

from tests.browser.chromium import Asked, Outside, barriers, one_of_few

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def test_what_a_page_asks_for_is_seen_and_reaches_nobody(browser: Browser, outside: Outside) -> None:
    page = browser.new_page()
    asked = Asked(page)
    with page.expect_event("requestfailed", lambda request: "tls" in request.url):
        page.set_content("<img src=http://plain.example/a><img src=https://tls.example/b>")
    page.wait_for_load_state("load")
    assert sorted(asked.urls) == ["http://plain.example/a", "https://tls.example/b"]
    assert asked.of("tls.example") == ["https://tls.example/b"]
    assert sorted(outside.asked()) == ["CONNECT tls.example:443 HTTP/1.1", "GET http://plain.example/a HTTP/1.1"]
    page.close()


def test_barriers_are_found(browser: Browser) -> None:
    page = browser.new_page()
    page.set_content("<html lang=en><title>x</title><main><h1>x</h1><button></button></main>")
    (found,) = barriers(page)
    assert found.startswith("button-name (critical): <button>")
    page.set_content("<html lang=en><title>x</title><main><h1>x</h1><button>y</button></main>")
    assert barriers(page) == []
    page.close()


def test_few_browsers_run_at_once() -> None:
    within, most, lock = 0, 0, threading.Lock()

    def run() -> None:
        nonlocal within, most
        with one_of_few():
            with lock:
                within += 1
                most = max(most, within)
            socket.create_server(("127.0.0.1", 0)).close()
            with lock:
                within -= 1

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= most <= 2
