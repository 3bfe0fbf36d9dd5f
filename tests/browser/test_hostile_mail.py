"""Mail that wants to run, fetch or cover something, in a browser: neither what is made of it nor the frame alone lets it.

Each mail is shown in two ways: made safe, and without the frame's headers, so that what is made of it is seen to be safe by itself; and
as it came in the frame, so that the frame is seen to hold by itself. On the page of a mail, ``test_mail_text.py`` tries both together.
"""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from gatewayd.message.mail import BytesSource, parse
from gatewayd_web.html_nesting import ELEMENTS
from gatewayd_web.safe_html import frame_headers, safe_page
from tests.browser.chromium import Asked
from tests.browser.hostile_mail import CASES, Case
from tests.patience import LONG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Frame, Page
    from starlette.requests import Request

    from tests.browser.chromium import Outside

#: Frames of one page.
_MANY = 40
_BATCHES = [CASES[at : at + _MANY] for at in range(0, len(CASES), _MANY)]
_NAMES = [f"{batch[0].kind} {batch[0].number}" for batch in _BATCHES]
#: Milliseconds that a page is given to do what it must not.
_A_WHILE = 150
_AROUND = """<!doctype html><meta charset=utf-8><title>around</title>
<script>window.ran = []; addEventListener("message", event => ran.push(event.data))</script><body style="background:#eee">"""


@dataclass
class Shown:
    """A site that shows the cases in frames, and remembers what else it was asked for."""

    url: str
    unexpected: list[str] = field(default_factory=list)

    def answer(self, request: Request) -> Response:
        """Answer a request."""
        way, number = request.url.path.split("/")[1], int(request.path_params["number"])
        if way == "around":
            which, sandbox = request.query_params["way"], ' sandbox="allow-popups"' if request.query_params["way"] != "bare" else ""
            last = number + int(request.query_params["many"])
            frames = "".join(f'<iframe src="/{which}/{one}" width=200 height=60{sandbox}></iframe>' for one in range(number, last))
            return HTMLResponse(_AROUND + frames)
        case = CASES[number]
        if way == "raw":
            html = case.filled(case.html, self.url) or case.message(self.url).decode("latin-1")
            return Response(html.encode(case.codec[1] if case.codec else "utf-8"), headers=frame_headers())
        page = parse(BytesSource(case.message(self.url)))
        return self._page(page) if way == "frame" else HTMLResponse(safe_page(page).document)

    @staticmethod
    def _page(mail: Any) -> Response:
        return Response(safe_page(mail).document, headers=frame_headers())

    async def respond(self, request: Request) -> Response:
        """Answer in a thread, as pages do."""
        return await run_in_threadpool(self.answer, request)

    async def refuse(self, request: Request) -> Response:
        """Note what nobody but a mail asks for."""
        self.unexpected.append(str(request.url))
        return Response(status_code=404)


@contextmanager
def _served() -> Iterator[Shown]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        shown = Shown(f"http://127.0.0.1:{listening.getsockname()[1]}")
        ways = [Route(f"/{way}/{{number:int}}", shown.respond, name=way) for way in ("around", "frame", "bare", "raw")]
        app = Starlette(routes=[*ways, Route("/{path:path}", shown.refuse, methods=["GET", "POST"])])
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield shown
        finally:
            server.should_exit = True
            thread.join(60)


@pytest.fixture(scope="module")
def shown() -> Iterator[Shown]:
    with _served() as site:
        yield site


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(LONG * 1000)
    page.on("dialog", lambda dialog: dialog.dismiss())
    yield page
    page.close()


def _see(page: Page, shown: Shown, way: str, batch: list[Case]) -> list[str]:
    """Show some cases; return what was asked for that is not the cases themselves, beside the site's favourite icon."""
    asked = Asked(page)
    before = len(shown.unexpected)
    page.goto(f"{shown.url}/around/{batch[0].number}?way={way}&many={len(batch)}")
    page.wait_for_timeout(_A_WHILE)
    own = {
        f"{shown.url}/around/{batch[0].number}?way={way}&many={len(batch)}",
        *(f"{shown.url}/{way}/{case.number}" for case in batch),
    }
    unexpected = [*asked.urls, *shown.unexpected[before:]]
    return [
        url for url in unexpected if url not in own and not url.endswith("/favicon.ico") and not url.startswith(("data:", "about:"))
    ]


def _ran(page: Page) -> list[int]:
    return sorted(set(page.evaluate("window.ran")))


def test_what_runs_or_fetches_is_noticed(page: Page, shown: Shown, outside: Outside) -> None:
    """The frame's headers are what keeps these from it."""
    case = next(case for case in CASES if case.html == "<img/src=x/onerror={js}>")
    page.goto(f"{shown.url}/around/0?way=frame&many=0")
    page.evaluate(
        "html => document.body.innerHTML = html",
        case.filled('<img src=x onerror={js}><img src="{url}"><img src="{own}">', shown.url),
    )
    page.wait_for_function("() => window.ran.length > 0")
    page.wait_for_load_state("networkidle")
    assert _ran(page) == [case.number]
    assert f"{shown.url}/leak/{case.number}" in shown.unexpected
    assert outside.asked() == [f"GET http://leak.example/{case.number} HTTP/1.1"]
    outside.forget()


@pytest.mark.parametrize("batch", _BATCHES, ids=_NAMES)
def test_hostile_mail_that_was_made_safe_does_nothing(page: Page, shown: Shown, outside: Outside, batch: list[Case]) -> None:
    assert _see(page, shown, "bare", batch) == []
    assert _ran(page) == []
    assert outside.asked() == []
    frames = [frame for frame in page.frames if frame != page.main_frame]
    assert len(frames) == len(batch), "a mail made or removed a frame"
    for frame, case in zip(frames, batch, strict=True):
        assert _holes(frame) == [], case


@pytest.mark.parametrize("batch", _BATCHES, ids=_NAMES)
def test_the_frame_lets_nothing_run_whatever_is_in_it(page: Page, shown: Shown, batch: list[Case]) -> None:
    _see(page, shown, "raw", batch)
    assert _ran(page) == []


_DOM = """() => [...document.body.querySelectorAll("*")].map(one => [one.namespaceURI.split("/").pop(), one.localName,
    [...one.attributes].map(attribute => [attribute.name, attribute.value])])"""
_ATTRIBUTES = {"href", "src", "style", "target", "rel", "class"}
_ATTRIBUTES |= {
    "align",
    "alt",
    "bgcolor",
    "border",
    "cellpadding",
    "cellspacing",
    "color",
    "colspan",
    "dir",
    "face",
    "height",
    "hspace",
    "lang",
    "nowrap",
    "rowspan",
}
_ATTRIBUTES |= {"size", "start", "type", "valign", "value", "vspace", "width"}


def _holes(frame: Frame) -> list[object]:
    """Return what the browser made of a page that nobody may make."""
    found: list[object] = []
    for namespace, name, attributes in frame.evaluate(_DOM):
        if namespace != "xhtml" or name not in ELEMENTS:
            found.append((namespace, name))
        for attribute, value in attributes:
            scheme = value.partition(":")[0]
            if attribute not in _ATTRIBUTES or (attribute == "class" and value != "plain-text"):
                found.append((name, attribute))
            if (attribute == "src" and not value.startswith("data:image/png;base64,")) or (
                attribute == "href" and scheme not in {"http", "https", "mailto", "tel"}
            ):
                found.append((name, attribute, value))
            if name == "a" and attribute in {"target", "rel"} and value not in {"_blank", "noopener noreferrer nofollow"}:
                found.append((name, attribute, value))
    return found


def test_nothing_shows_outside_its_frame(page: Page, shown: Shown) -> None:
    """All around the frames of those that would cover everything is as it is around empty ones."""
    covering = [case for case in CASES if case.kind == "covering"]
    _see(page, shown, "frame", covering)
    outside_of = "() => { for (const one of document.querySelectorAll('iframe')) one.style.visibility = 'hidden' }"
    with_mail = page.screenshot(mask=[page.locator("iframe")])
    page.evaluate(outside_of)
    assert page.screenshot(mask=[page.locator("iframe")]) == with_mail
    assert page.title() == "around"
    assert page.evaluate("[document.documentElement.scrollWidth <= innerWidth, scrollX, scrollY]") == [True, 0, 0]


def test_there_are_more_than_two_hundred_mails_of_many_kinds() -> None:
    assert len({case.message("").replace(str(case.number).encode(), b"") for case in CASES}) == len(CASES) >= 400
    assert len({case.kind for case in CASES}) >= 15
