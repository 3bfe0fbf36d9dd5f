"""One mail on its page: read, save, link, unlink, and nothing of anybody else's."""

from __future__ import annotations

import re
from email.message import EmailMessage
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from gatewayd.testing.servers import Dovecot
from gatewayd_web.pages.files import disposition
from tests.browser.site import USERS, Site
from tests.e2e.house import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

CUSTOMERS = "id,name,main_contact\nC1,Nord Reisen,\nC2,Nordlicht,\nC3,Sued,\n"
PASSWORD = "correct horse battery"


def message(
    number: int, *, sender: str = "Anna Berger <anna@nord.example>", html: str = "", file: bytes = b"", answers: int = 0
) -> bytes:
    mail = EmailMessage()
    if answers:
        mail["In-Reply-To"] = f"<{answers}@example.com>"
    mail["Authentication-Results"] = f"mx.acme.example; spf=pass smtp.mailfrom={number}.example; dmarc=fail header.from=x.example"
    mail["Message-ID"] = f"<{number}@example.com>"
    mail["Date"] = "Mon, 05 Jan 2026 10:00:00 +0100"
    mail["From"] = sender
    mail["To"] = "reservations@acme.example"
    mail["Subject"] = f"booking {number}"
    mail.set_content(f"Hello {number} & <b>you</b>")
    if html:
        mail.add_alternative(html, subtype="html")
    if file:
        mail.add_attachment(file, maintype="application", subtype="pdf", filename="Über sicht/../x.pdf")
    return mail.as_bytes()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    made.operator("acme", more=USERS, customers=CUSTOMERS, reservations="id,code,title\nR1,B-7,Rome\nR2,O-7,Oslo\n")
    made.operator("globetrot", more="users:\n  gerd: {name: Gerd, email: gerd@globetrot.example}\n")
    with Dovecot() as dovecot:
        for user in ("desk@example.com", "irina@example.com"):
            dovecot.user(user, "pass")
        dovecot.deliver(
            "desk@example.com",
            [
                message(1),
                message(2, html="<p>Hi <b>there</b><script>x</script>"),
                message(3, file=b"%PDF-1.4 x"),
                message(5, sender="Anna Berger <anna@other.example>"),
                message(6, sender="Sales <sales@n0rd.example>"),
                message(7, sender="Hotel <desk@hotel.example>"),
                message(8, answers=2),
            ],
        )
        dovecot.deliver("irina@example.com", [message(4, answers=2)])
        made.account("desk", "imap", dovecot.ports["imap"], "desk@example.com")
        made.write(
            "accounts/out.yaml",
            "kind: smtp\noperators: [acme]\nhost: localhost\nport: 9\nsecurity: none\ninsecure: true\n"
            "send: {system: true, from: {address: desk@acme.example}}\n",
        )
        made.account("irina", "imap", dovecot.ports["imap"], "irina@example.com", more="user: acme/irina\n")
        made.good("import", "desk", "irina")
        with made.running():
            made.password("irina", PASSWORD)
            yield made


def ids(site: Site) -> dict[str, int]:
    """The id of each mail by its subject."""
    done = site.good("mail", "list", "--operator", "acme", "--user", "irina", "--json")
    return {row["subject"]: row["id"] for row in done.rows}


@pytest.fixture(scope="module")
def mails(site: Site) -> dict[str, int]:
    return ids(site)


def test_a_mail_is_read_when_an_agent_opens_it_and_a_reader_leaves_it_as_it_is(site: Site, mails: dict[str, int]) -> None:
    path, reader, agent = f"/emails/{mails['booking 1']}", site.token("rea"), site.token("tom")
    unread = ("mail", "list", "--operator", "acme", "--json")
    assert "Anna Berger" in site.ask(path, token=reader).text
    assert next(row for row in site.good(*unread).rows if row["subject"] == "booking 1")["unread"]
    assert site.ask(path, token=agent).status == 200
    assert not next(row for row in site.good(*unread).rows if row["subject"] == "booking 1")["unread"]
    assert site.ask(f"{path}/unread", token=agent, form={"csrf": site.csrf(agent)}).status == 303
    assert next(row for row in site.good(*unread).rows if row["subject"] == "booking 1")["unread"]
    opened = site.good("activity", "--operator", "acme", "--json").rows
    assert {row["who"] for row in opened if row["what"] == "opened" and row["mail_id"] == mails["booking 1"]} == {"rea", "tom"}


def test_P6_nobody_reads_what_is_not_theirs_by_any_page_of_it(site: Site, mails: dict[str, int]) -> None:
    own = mails["booking 4"]
    for token, mail in ((site.token("tom"), own), (site.token("max"), own), (site.token("gerd", "globetrot"), mails["booking 1"])):
        for path in ("", "/text", "/raw", "/files/1", "/print"):
            answer = site.ask(f"/emails/{mail}{path}", token=token)
            assert (answer.status, "Hello" in answer.text, "anna" in answer.text) == (404, False, False)
        linked = {"csrf": site.csrf(token), "mail": mail, "kind": "customer", "record": "C1"}
        assert site.ask("/link", token=token, form=linked).status == 404
        assert site.ask("/unlink", token=token, form=linked).status == 404
        assert "booking" not in site.ask(f"/link?mail={mail}", token=token).text
    assert site.ask(f"/emails/{own}", token=site.token("irina")).status == 200


@pytest.mark.parametrize(
    "path", ["/emails/0", "/emails/99999999", "/emails/99999999999999999999999", "/emails/1/files/9", "/emails/x"]
)
def test_what_is_not_there_is_told(site: Site, path: str) -> None:
    answer = site.ask(path, token=site.token("irina"))
    assert answer.status == 404
    assert "Traceback" not in answer.text


def test_who_a_mail_is_from_is_said_as_the_server_has_it_and_as_it_looks(site: Site, mails: dict[str, int]) -> None:
    token = site.token("tom")
    until("all is indexed", 30, lambda: len(re.findall("data-open", site.ask("/emails?words=hello", token=token).text)) >= 7)
    pages = {number: site.ask(f"/emails/{mails[f'booking {number}']}", token=token).text for number in (1, 2, 5, 6, 7)}
    for said in ("2026-01-05 09:00 UTC", "SPF: pass (1.example)", "DMARC: fail (x.example)", "mx.acme.example says so"):
        assert said in pages[1]
    first, known = "First mail from this address", "anna@nord.example"
    assert [first in pages[number] for number in (1, 2, 5, 6, 7)] == [True, False, True, True, True]
    assert f"Mail under this name came from {known}" in pages[5]
    assert f"The address resembles {known}" in pages[6]
    assert "Is it who it says?" not in pages[1] + pages[2] + pages[7]


def test_P6_a_conversation_has_what_we_sent_and_nothing_that_is_not_theirs(site: Site, mails: dict[str, int]) -> None:
    site.write("answer.txt", "Gladly")
    answer = ("--text", site.folder / "answer.txt", "--operator", "acme", "--json")
    sent = site.good("mail", "reply", mails["booking 2"], *answer).rows[0]["mail"]
    path, ours = f"/emails/{mails['booking 2']}", f'href="/emails/{sent}"'
    until("the answer is in it", 30, lambda: ours in site.ask(path, token=site.token("tom")).text)
    page = site.ask(path, token=site.token("tom")).text
    assert f'href="/emails/{mails["booking 8"]}"' in page
    assert f"/emails/{mails['booking 4']}" not in page
    assert page.index("Conversation") < page.index(ours) < page.index("Waits") < page.index("anna@nord.example <span")
    assert f"/emails/{mails['booking 4']}" in site.ask(path, token=site.token("irina")).text
    assert path in site.ask(f"/emails/{sent}", token=site.token("tom")).text
    assert "Conversation" not in site.ask(f"/emails/{mails['booking 7']}", token=site.token("tom")).text


def test_one_of_several_that_fit_is_chosen_by_one_click_and_all_of_it_is_noted(site: Site, mails: dict[str, int]) -> None:
    mail, token = mails["booking 7"], site.token("tom")
    path = f"/emails/{mail}"
    assert "Several fit" in site.ask(path, token=token).text
    form = {"csrf": site.csrf(token), "mail": mail, "kind": "reservation", "record": "R2"}
    answer = site.ask("/link", token=token, form=form)
    assert (answer.status, answer.headers["location"]) == (303, path)
    page = site.ask(path, token=token).text
    assert "Several fit" not in page
    assert "Unlink O-7 Oslo" in page
    assert site.ask("/unlink", token=token, form=form).status == 303
    assert "Link O-7 Oslo again" in site.ask(path, token=token).text
    assert "Link O-7 Oslo again" not in site.ask(path, token=site.token("rea")).text
    site.ask(f"/emails/{mails['booking 3']}/files/1", token=token)
    noted = [(row["what"], row["mail_id"]) for row in site.good("activity", "--operator", "acme", "--json").rows]
    assert {("linked", mail), ("unlinked", mail), ("downloaded", mails["booking 3"])} <= set(noted)


def test_back_is_to_the_list_as_it_was_and_to_no_other_place(site: Site, mails: dict[str, int]) -> None:
    path, token = f"/emails/{mails['booking 1']}", site.token("tom")
    for before, back in (
        (f"{site.url}/emails?unread=yes&before=9", "/emails?unread=yes&amp;before=9"),
        (f"{site.url}/settings?x=1", "/emails"),
        ("https://evil.example//emails?x=1", "/emails"),
        ('"><script>', "/emails"),
        ("http://[", "/emails"),
    ):
        assert f'href="{back}" data-key="u"' in site.ask(path, token=token, headers={"Referer": before}).text


def test_a_mail_is_printed_as_words(site: Site, mails: dict[str, int]) -> None:
    page = site.ask(f"/emails/{mails['booking 2']}/print", token=site.token("rea")).text
    assert "Hello 2 &amp; &lt;b&gt;you" in page
    assert "<iframe" not in page


def test_the_text_is_in_a_frame_that_may_do_nothing(site: Site, mails: dict[str, int]) -> None:
    token = site.token("irina")
    page = site.ask(f"/emails/{mails['booking 2']}", token=token).text
    assert "<script>x" not in page
    frame = site.ask(f"/emails/{mails['booking 2']}/text", token=token)
    assert "<b>there</b>" in frame.text
    assert "script" not in frame.text
    assert frame.headers["content-security-policy"].startswith("sandbox")
    plain = site.ask(f"/emails/{mails['booking 1']}/text", token=token).text
    assert "&lt;b&gt;you" in plain


def test_a_file_is_saved_under_a_name_that_is_no_path_and_never_shown(site: Site, mails: dict[str, int]) -> None:
    answer = site.ask(f"/emails/{mails['booking 3']}/files/1", token=site.token("irina"))
    assert answer.body == b"%PDF-1.4 x"
    assert answer.headers["content-disposition"].startswith("attachment; ")
    assert "/" not in answer.headers["content-disposition"].replace("UTF-8''", "")
    assert answer.headers["content-security-policy"].startswith("sandbox")
    raw = site.ask(f"/emails/{mails['booking 3']}/raw", token=site.token("irina"))
    assert b"Message-ID: <3@example.com>" in raw.body
    assert raw.headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("name", "saved"),
    [
        ("a.pdf", "a.pdf"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ('x"; filename=evil.exe', "x_; filename=evil.exe"),
        ("a\r\nSet-Cookie: x", "aSet-Cookie_ x"),
        ("", "file"),
        ("...", "file"),
        ("n" * 300 + ".pdf", "n" * 117 + ".pdf"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
    ],
)
def test_a_name_of_a_file_is_made_safe(name: str, saved: str) -> None:
    shown = disposition(name)
    assert f'filename="{saved.replace(";", "_")}"' in shown
    assert "\n" not in shown
    assert shown.isascii()


def test_mail_is_found_by_words_of_its_text_and_names_of_its_files(site: Site) -> None:
    token = site.token("irina")
    for words, subject in (("hello 2 you", "booking 2"), ('"sicht"', "booking 3"), ("ANNA 4", "booking 4")):
        shown = f"data-open>{subject}</a>"
        path = f"/emails?words={quote(words)}"

        def found(path: str = path, shown: str = shown) -> bool:
            return shown in site.ask(path, token=token).text

        until(f"{words} is found", 30, found)
    assert "booking 4" not in site.ask("/emails?words=anna", token=site.token("tom")).text
    for words in ('"', "AND OR NOT", "a* NEAR(b", "\x00'; --", "x" * 5000):
        assert site.ask(f"/emails?words={quote(words)}", token=token).status == 200


def _log_in(site: Site, browser: Browser) -> Page:
    page = browser.new_page()
    page.goto(f"{site.url}/log-in")
    page.get_by_label("User or mail address").fill("acme/irina")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/emails")
    return page


def test_mail_is_opened_linked_by_search_and_unlinked_in_a_browser(site: Site, browser: Browser) -> None:
    page = _log_in(site, browser)
    page.get_by_role("link", name="booking 3").click()
    with page.expect_download() as saved:
        page.get_by_role("link", name="x.pdf").click()
    assert saved.value.path().read_bytes() == b"%PDF-1.4 x"
    page.get_by_role("link", name="Link").click()
    page.get_by_label("Type").select_option("customer")
    # It searches while somebody types.
    page.get_by_label("Words of the record").fill("nord")
    page.get_by_label("Nordlicht").check()
    page.get_by_role("button", name="Link the ticked ones").click()
    page.get_by_role("button", name="Unlink Nordlicht").wait_for()
    page.get_by_role("button", name="Unlink Nordlicht").click()
    page.get_by_text("Nothing yet.").wait_for()
    page.get_by_text("unlinked by irina").wait_for()
    page.get_by_role("button", name="Link Nordlicht again").click()
    page.get_by_role("button", name="Unlink Nordlicht").click()
    page.get_by_text("Nothing yet.").wait_for()
    page.keyboard.press("l")
    page.get_by_role("heading", name="Link").wait_for()
    page.close()


def test_several_are_ticked_and_linked_at_once_in_a_browser(site: Site, browser: Browser) -> None:
    page = _log_in(site, browser)
    page.goto(f"{site.url}/emails?words=booking")
    for subject in ("booking 1", "booking 2"):
        page.get_by_label(f"Tick {subject}", exact=True).check()
    page.get_by_role("button", name="Link").click()
    page.wait_for_url("**/link?**")
    assert "csrf" not in page.url
    page.get_by_label("Type").select_option("customer")
    page.get_by_label("Words of the record").fill("sued")
    page.get_by_role("button", name="Search").click()
    page.get_by_label("Sued").check()
    page.get_by_role("button", name="Link the ticked ones").click()
    # Back in the list as it was, and no address had the token.
    page.wait_for_url("**/emails?words=booking")
    rows = {
        row["subject"]: [one["id"] for one in row["links"]]
        for row in site.good("mail", "list", "--operator", "acme", "--json").rows
    }
    assert (rows["booking 1"], rows["booking 2"], rows["booking 3"]) == (["C3"], ["C3"], [])
    page.close()


def test_several_are_marked_at_once_in_a_browser(site: Site, browser: Browser) -> None:
    page = _log_in(site, browser)
    for name in ("Mark as read", "Mark as unread"):
        page.get_by_label("Tick booking 5", exact=True).check()
        with page.expect_navigation():
            page.get_by_role("button", name=name, exact=True).click()
        unread = page.get_by_role("row").filter(has_text="booking 5").locator(".dot")
        assert unread.count() == (1 if name.endswith("unread") else 0)
    page.close()
