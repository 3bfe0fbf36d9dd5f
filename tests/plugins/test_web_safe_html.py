"""HTML of mail made safe: nothing but plain elements comes out, in linear time, whatever came in."""

from __future__ import annotations

import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.message.mail import BytesSource, parse
from gatewayd_web.html_nesting import ELEMENTS, MAX_DEPTH, MAX_ELEMENTS, Nesting, TooManyElements
from gatewayd_web.html_tokens import reference_free, tokens
from gatewayd_web.safe_html import _CLEANER, SafePage, frame_headers, safe_page
from gatewayd_web.safe_links import host_of, linked, safe_link
from gatewayd_web.safe_style import safe_style

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def page_of(html: str | bytes, *, kind: str = "text/html; charset=utf-8", pictures: bool = False) -> SafePage:
    body = html if isinstance(html, bytes) else html.encode()
    return safe_page(parse(BytesSource(f"Content-Type: {kind}\r\n\r\n".encode() + body)), pictures=pictures)


def body_of(page: SafePage) -> str:
    return page.document.partition("<body>")[2].removesuffix("</body></html>")


def safe(html: str) -> str:
    return body_of(page_of(html)).removeprefix("<div>").removesuffix("</div>")


# --- what comes out ---------------------------------------------------------------------------------------------------

REL = 'target="_blank" rel="noopener noreferrer nofollow"'
PAGES = {
    "<p>a<p>b<div>c</p>d": "<p>a</p><p>b</p><div>cd</div>",
    "<b><i>x</b>y</i>z": "<b><i>x</i></b><i>y</i>z",
    "<font color=red><p>x</font>y</p>z": '<font color="red"><p>x</p></font><p>y</p>z',
    "<ul><li>a<li>b<ul><li>c</ul></ul>": "<ul><li>a</li><li>b<ul><li>c</li></ul></li></ul>",
    "<dl><dt>a<dd>b<dt>c</dl>": "<dl><dt>a</dt><dd>b</dd><dt>c</dt></dl>",
    "<h1>a<h2>b</h2>": "<h1>a</h1><h2>b</h2>",
    "<table><tr><td>a<td>b<tr><th>c</table>d": ("<table><tbody><tr><td>a</td><td>b</td></tr><tr><th>c</th></tr></tbody></table>d"),
    "<table>text<b>x</b><tr><td>y</table>": "<table><tbody><tr><td>text<b>x</b></td></tr><tr><td>y</td></tr></tbody></table>",
    "<table><b><tr><td>x</b></td></b></table><b>y": "<table><tbody><tr><td>x</td></tr></tbody></table><b>y</b>",
    "<td>no table</td><tr>": "no table",
    "<body bgcolor='#fff'><p>x</body>": '<div style="background-color:#fff"><p>x</p></div>',
    "a<script>b</script>c<style>d</style><title>e</title><svg><p>f</svg>g<template>h</template>": "acg",
    "<!-- a -->b<!--[if mso]>c<![endif]-->d<![if !mso]>e<![endif]><?xml f?>g": "bdeg",
    "<textarea><b>a</textarea><xmp><i></xmp><plaintext></b>": "&lt;b&gt;a&lt;i&gt;&lt;/b&gt;",
    "<noscript><p title='</noscript>x'>a</noscript>": "<p>a</p>",
    "a < b &lt; c &amp; d &copy; e&nbsp;f": "a &lt; b &lt; c &amp; d © e&nbsp;f",
    "<p id=x class=y name=z onclick=a() align=center>a": '<p align="center">a</p>',
    "<td>": "",
    "<p class=MsoNormal style='margin-left:9px'>a": '<p style="margin:0;margin-left:9px">a</p>',
    "<p>a&#8238;b\u2066c&rlm;d": "<p>abc\u200fd</p>",
    "<a href='javascript:a()'>a</a><a href=' java\tscript:a'>b</a><a href='&#106avascript:a'>c</a><a href=x.html>d</a>": (
        f"<a {REL}>a</a><a {REL}>b</a><a {REL}>c</a><a {REL}>d</a>"
    ),
    "<a href='https://a.example/?b=1&copy=2'>x</a>": f'<a href="https://a.example/?b=1&amp;copy=2" {REL}>x</a>',
    "<a href=mailto:a@b.example>a<a href=tel:+49>b": f'<a href="mailto:a@b.example" {REL}>a</a><a href="tel:+49" {REL}>b</a>',
    "<img src=https://a.example/x.png alt='A \"b\"' width=30 onerror=a()>": '<img alt="A &quot;b&quot;" width="30">',
    f"<img src='data:image/png;base64,{PNG}'>": f'<img src="data:image/png;base64,{PNG}">',
    f"<img src='data:image/gif;base64,{PNG}'>": f'<img src="data:image/png;base64,{PNG}">',
    "<img src='data:image/svg+xml;base64,PHN2Zz4='><img src='data:text/html,x'><img src=cid:none><img srcset=x>": "<img><img><img><img>",
    "<img src='data:image/png;base64,!!!'><img src='data:image/png;base64,aaa'>": "<img><img>",
    "<input><button>a</button><form action=x><select><option>b</select>c</form>": "a<div>c</div>",
    "<td colspan=3 rowspan=1000>": "",
    "<table><tr><td colspan=3 rowspan=1000>x": '<table><tbody><tr><td colspan="3">x</td></tr></tbody></table>',
    "<p style='color:red;position:fixed;background:url(x)'>a": '<p style="color:red">a</p>',
    "<a href=x": "",
    "a<b title='": "a",
}


@pytest.mark.parametrize(("html", "out"), PAGES.items())
def test_plain_elements_come_out_each_closed_where_it_ends(html: str, out: str) -> None:
    assert safe(html) == out


STYLES = {
    "color: RED; Font: 12px/1.5 'Segoe UI', sans-serif": "color:RED;font:12px/1.5 'Segoe UI', sans-serif",
    "width:100% !important;mso-hide:all": "width:100% !important",
    "background: #fff": "background-color:#fff",
    "background: rgb(1, 2, 3)": "background-color:rgb(1, 2, 3)",
    "background: #fff url(x)": "",
    "background-image:url(//x);color:expression(a)": "",
    "color:r\\65 d;width:calc(1px);height:1px/**/;margin:1px}b{color:red": "",
    "font-family:'a;color:red;b'": "color:red",
    'font-family:"a': "",
    "position:absolute;top:0;z-index:9;transform:none;content:'x';cursor:none;behavior:x;-moz-binding:x;filter:x;opacity:0": "",
    "--x:red;color:var(--x)": "",
    "color": "",
    "color:red;" * 500: "",
}


@pytest.mark.parametrize(("style", "out"), STYLES.items())
def test_styles_keep_what_neither_fetches_nor_covers(style: str, out: str) -> None:
    assert safe_style(style) == out


LINKS = {
    "https://a.example/b?c#d": "https://a.example/b?c#d",
    "HTTP:a.example": "http://a.example",
    "https:/\\a.example\\b": "https://a.example/b",
    "https://a.example\\@b.example/": "https://a.example/@b.example/",
    "https://bank.example@evil.example/": "https://evil.example/",
    "//a.example": "https://a.example",
    "www.a.example/b": "http://www.a.example/b",
    " h\nt\ttp://a.example ": "http://a.example",
    "https://[2001:db8::1]:80/": "https://[2001:db8::1]:80/",
    "https://a.example:99999999/": None,
    "https://": None,
    "https://a b/": None,
    "javascript:alert(1)": None,
    "data:text/html,x": None,
    "vbscript:x": None,
    "blob:https://a.example/": None,
    "file:///etc/passwd": None,
    "cid:a": None,
    "#a": None,
    "x.html": None,
    "": None,
    "https://a.example/" + "a" * 5000: None,
}


@pytest.mark.parametrize(("link", "out"), LINKS.items())
def test_links_are_written_as_browsers_understand_them(link: str, out: str | None) -> None:
    assert safe_link(link) == out


@pytest.mark.parametrize(
    ("link", "text", "elsewhere"),
    [
        ("https://evil.example/", "https://bank.example/log-in", True),
        ("https://evil.example/", "www.bank.example", True),
        ("https://evil.example/", "<b>bank</b>.<i>example</i>", True),
        ("https://bank.example@evil.example/", "https://bank.example", True),
        ("https://bank.example.evil.example/", "bank.example", True),
        ("https://www.bank.example/log-in", "bank.example", False),
        ("https://bank.example/", "https://www.bank.example/", False),
        ("https://click.bank.example/", "BANK.example", False),
        ("https://evil.example/", "Our offers of this week.", False),
        ("mailto:a@b.example", "bank.example", False),
    ],
)
def test_a_link_whose_text_is_the_address_of_another_host_is_marked(link: str, text: str, *, elsewhere: bool) -> None:
    assert (
        "<mark>\N{RIGHTWARDS ARROW} evil.example</mark>"
        in safe(f"<a href='{link}'>{text}</a>").replace("bank.example.evil", "evil")
    ) is elsewhere
    assert "<mark>" not in safe("<mark>\N{RIGHTWARDS ARROW} bank.example</mark>")


@pytest.mark.parametrize(
    ("text", "out"),
    [
        ("see https://a.example/b?c=1&d. Next", "see |https://a.example/b?c=1&amp;d|. Next"),
        ("(http://a.example/)", "(|http://a.example/|)"),
        ("http://a.example/b_(c)", "|http://a.example/b_(c)|"),
        ('<http://a.example> "https://b.example"', "&lt;|http://a.example|&gt; &quot;|https://b.example|&quot;"),
        ("javascript:alert(1) https:// http://.", "javascript:alert(1) https:// http://."),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
    ],
)
def test_urls_in_plain_text_can_be_followed(text: str, out: str) -> None:
    shown = linked(text)
    for url in (url for url in out.split("|") if url.startswith("http")):
        assert f'<a href="{url}">{url}</a>' in shown
        shown = shown.replace(f'<a href="{url}">{url}</a>', f"|{url}|")
    assert shown == out


# --- pictures ---------------------------------------------------------------------------------------------------------


def related(*pictures: tuple[str, bytes], html: str) -> SafePage:
    parts = [b"Content-Type: text/html; charset=utf-8\r\n\r\n" + html.encode()]
    parts += [f"Content-Type: image/png\r\nContent-ID: <{name}>\r\n\r\n".encode() + data for name, data in pictures]
    raw = b"Content-Type: multipart/related; boundary=b\r\n\r\n" + b"".join(b"--b\r\n" + part + b"\r\n" for part in parts)
    return safe_page(parse(BytesSource(raw + b"--b--\r\n")))


def test_pictures_of_the_mail_are_within_the_page_if_their_bytes_are_a_picture() -> None:
    gif = b"GIF89a\1\0\1\0" + b"x" * 6
    page = related(
        ("a@b", gif), ("c", b"<svg onload=alert(1)>"), html="<img src=cid:a%40b><img src='CID:a@b'><img src=cid:c><img src=cid:d>"
    )
    data = "data:image/gif;base64,R0lGODlhAQABAHh4eHh4eA=="
    assert body_of(page) == f'<div><img src="{data}"><img src="{data}"><img><img></div>'
    assert (page.pictures_elsewhere, page.notes) == (0, frozenset())


def test_P8_pictures_within_a_page_are_bounded_however_often_they_are_shown() -> None:
    page = related(("a", b"GIF89a\1\0\1\0" + b"x" * 1_000_000), html="<img src=cid:a>" * 100)
    assert page.document.count("data:image/gif") == 12
    assert len(page.document) < 17 << 20
    assert page.notes == {"pictures too large"}
    page = related(("a", b"GIF89a\1\0\1\0" + b"x" * 13_000_000), html="<img src=cid:a>")
    assert page.document.count("data:image/gif") == 0
    assert page.notes == {"pictures too large"}


def test_P8_pictures_of_a_page_have_so_many_pixels_and_no_more() -> None:
    page = related(("a", b"GIF89a\x10\x27\x10\x27"), html="<img src=cid:a>" * 3)
    assert page.document.count("data:image/gif") == 2
    assert page.notes == {"pictures too large"}


def test_pictures_elsewhere_are_fetched_only_where_that_was_asked_for_and_by_https_alone() -> None:
    html = "<img src=http://a.example/x><img src='//b.example/y'><img src=https://c.example><img src=/z>"
    assert body_of(page_of(html)) == "<div><img><img><img><img></div>"
    assert page_of(html).pictures_elsewhere == 3
    shown = page_of(html, pictures=True)
    sources = "https://a.example/x", "https://b.example/y", "https://c.example"
    assert body_of(shown) == "<div>" + "".join(f'<img src="{one}">' for one in sources) + "<img></div>"
    assert "img-src data:;" in frame_headers()["Content-Security-Policy"]
    assert "img-src data: https:;" in frame_headers(pictures=True)["Content-Security-Policy"]


# --- bounds -----------------------------------------------------------------------------------------------------------


def test_elements_that_lie_too_deep_leave_what_they_hold_and_that_is_said() -> None:
    page = page_of("<div>" * 10_000 + "deep<p>text" + "</div>" * 10_000 + "after")
    assert page.notes == {"flattened"}
    assert body_of(page).count("<div>") == MAX_DEPTH + 1
    assert "deeptext" in body_of(page)
    assert body_of(page).endswith("</div>after</div>")


@pytest.mark.parametrize(
    "html", ["<b>x</b>" * (MAX_ELEMENTS + 1), "<p><b a=1><b a=2>" + "<p>x" * MAX_ELEMENTS, "</x>" * 210_000 + "x"]
)
def test_a_page_of_too_many_elements_is_shown_as_its_text_and_that_is_said(html: str) -> None:
    page = page_of(html)
    assert page.notes == {"plain"}
    assert body_of(page).startswith('<div class="plain-text">x')
    assert body_of(page).count("<") == 2


def test_a_mail_of_which_not_all_is_read_says_so() -> None:
    page = page_of("<p>" + "a " * (2 << 20))
    assert page.notes == {"cut"}


def test_plain_text_is_shown_as_it_is() -> None:
    page = page_of("a <b>\r\n  c &amp; https://a.example/", kind="text/plain; charset=utf-8")
    assert 'class="plain"' in page.document
    assert body_of(page) == (
        f'<div class="plain-text">a &lt;b&gt;\n  c &amp;amp; <a href="https://a.example/" {REL}>https://a.example/</a></div>'
    )
    utf_7 = page_of("+ADw-script+AD4-alert(1)+ADw-/script+AD4-", kind="text/plain; charset=utf-7")
    assert body_of(utf_7) == '<div class="plain-text">&lt;script&gt;alert(1)&lt;/script&gt;</div>'


def test_pieces_of_a_mail_that_say_anything_are_shown_one_below_the_other() -> None:
    parts = "<b>a</b>", "<script>b</script>", "<p>c"
    raw = "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + "".join(
        f"--b\r\nContent-Type: text/html\r\n\r\n{one}\r\n" for one in parts
    )
    page = safe_page(parse(BytesSource(f"{raw}--b--".encode())))
    assert body_of(page) == "<div><b>a</b></div><hr><div><p>c</p></div>"


def test_the_frame_runs_and_fetches_nothing() -> None:
    headers = frame_headers(ancestors=["https://crm.example"])
    policy = dict(one.partition(" ")[::2] for one in headers["Content-Security-Policy"].split("; "))
    assert policy["sandbox"] == "allow-popups allow-popups-to-escape-sandbox"
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["frame-ancestors"] == "'self' https://crm.example"
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


# --- anything ---------------------------------------------------------------------------------------------------------

NAMES = [
    *sorted(ELEMENTS),
    *[
        "body",
        "html",
        "head",
        "script",
        "style",
        "svg",
        "math",
        "mi",
        "textarea",
        "title",
        "select",
        "option",
        "xmp",
        "form",
        "input",
        "iframe",
        "noscript",
        "template",
    ],
]
VALUES = ["", "=x", "='a b'", '="<b>"', "=javascript:a", "='x", "=&#60;", "=https://a.example", "=cid:a", "=color:red", "=100%"]
ATTRIBUTES = st.tuples(
    st.sampled_from([*["a", "href", "src", "style", "id", "name", "onclick", "width"]]), st.sampled_from(VALUES)
).map("".join)
TAGS = st.tuples(
    st.sampled_from(["<", "</"]),
    st.sampled_from(NAMES),
    st.lists(ATTRIBUTES, max_size=2),
    st.sampled_from([">", ">", ">", "/>", ""]),
)
PIECES = st.one_of(
    TAGS.map(lambda tag: f"{tag[0]}{' '.join([tag[1], *tag[2]])}{tag[3]}"),
    st.sampled_from(
        [
            *[
                "<",
                ">",
                "</",
                "<!",
                "<!--",
                "-->",
                "--!>",
                "<?",
                "&",
                "&lt;",
                "&#x3c;",
                "'",
                '"',
                "=",
                "/",
                "]]>",
                "<![CDATA[",
                "\x00",
            ],
            " ",
            "x",
            "\n",
        ]
    ),
    st.text(max_size=3),
)
HTML = st.lists(PIECES, max_size=60).map("".join)


class Checked(HTMLParser):
    """Fails at whatever must not be in a safe page, and counts its tags."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ELEMENTS
        self.tags.append(tag)
        for name, value in attrs:
            assert not name.startswith("on")
            assert name not in {"id", "class", "name", "srcset", "background", "action"}
            assert value is not None
            if name in {"href", "src"}:
                assert value.partition(":")[0] in {"http", "https", "mailto", "tel", "data"}
                assert not value.startswith("data:") or (name == "src" and value.startswith("data:image/"))
            if name == "style":
                assert not set(value) & set("\\{}<>@")

    def handle_endtag(self, tag: str) -> None:
        self.tags.append(f"/{tag}")

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(decl)

    handle_pi = unknown_decl = handle_comment


@given(HTML)
def test_whatever_comes_in_plain_html_comes_out(html: str) -> None:
    Checked(body_of(page_of(html)).replace(' class="plain-text"', ""))


@given(HTML)
def test_what_is_plain_means_the_same_to_a_parser_that_repairs(html: str) -> None:
    """So nothing that nh3 or a browser builds of it is larger than it, or other than what was looked at."""
    plain = Nesting(lambda *_: "").plain(tokens(html))
    assert [*Checked(_CLEANER.clean(plain)).tags] == [*Checked(plain).tags]


@given(st.binary(max_size=300), st.sampled_from(["utf-8", "utf-7", "utf-16", "iso-2022-jp", "x-unknown", "shift_jis", "hz"]))
def test_any_bytes_are_a_safe_page(data: bytes, charset: str) -> None:
    page = page_of(data, kind=f"text/html; charset={charset}")
    page.document.encode()
    Checked(body_of(page).replace(' class="plain-text"', ""))


@given(st.text(max_size=100))
def test_any_value_has_no_references_left_to_read_otherwise(value: str) -> None:
    assert reference_free(value.replace("&", "&amp;")) == value
    assert safe_link(value) is None or host_of(safe_link(value) or "") or (safe_link(value) or "").startswith(("mailto:", "tel:"))


HEAVY = {
    "nested": "<div>",
    "nested inline": "<b>",
    "fonts": "<p><font a=1><font a=2>",
    "attributes": "<b a=1 b='c' d>",
    "one tag": "a=1 ",
    "open quotes": '<a href="',
    "comments": "<!--",
    "signs": "<",
    "ends": "</p>",
    "lists": "<li><dd>",
    "tables": "<table><tr><td>",
    "references": "&amp",
    "declarations": "<!x",
    "titles": "<title>",
    "literal": "<xmp></xmp>",
    "links": "<a href=//a.b>b.c</a>",
    "hosts": "a.",
    "styles": "<b style='color:red;font:x'>",
}


@pytest.mark.parametrize("kind", HEAVY)
def test_P8_the_time_for_a_page_is_linear(kind: str) -> None:
    """Counted by the thread's own time, so that others on the machine don't matter."""
    begin = {"one tag": "<b ", "hosts": "<a href=//a.b>"}.get(kind, "")

    def seconds(size: int) -> float:
        page = begin + HEAVY[kind] * (size // len(HEAVY[kind]))
        times = []
        for _ in range(3):
            began = time.thread_time()
            page_of(page)
            times.append(time.thread_time() - began)
        return min(times)

    # Of sixteen times the size, quadratic time is 256 times as long.
    assert seconds(16 * 12_000) < 48 * max(seconds(12_000), 0.001)


def test_P8_too_many_elements_are_noticed_before_they_are_made() -> None:
    with pytest.raises(TooManyElements):
        Nesting(lambda *_: "").plain(tokens("<b>" * 100 + "<div>" * 100 + "</b><b>" * 100_000))
