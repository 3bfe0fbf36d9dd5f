"""Every plugin that logs in gives the advice for what the server says, and its words change nothing else."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from gatewayd import AuthError, GatewaydError, TransientError
from gatewayd_imap.faults import Away
from tests.plugins import imap_script, pop3_script
from tests.plugins.scripted import serving
from tests.plugins.smtp_raw import speaking
from tests.plugins.smtp_site import forwarder, secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

APP_PASSWORD = "https://myaccount.google.com/apppasswords"
TODAYS = "Check `username` and `password`, and that the account may "


def by_imap(answer: bytes, folder: Path) -> None:
    with serving(imap_script.Script({"LOGIN": answer})) as script:
        imap_script.transport(script, folder).open()


def by_pop3(answer: bytes, _folder: Path) -> None:
    with ExitStack() as stack:
        script = pop3_script.Stage(stack).play([], replies={"PASS": answer})
        pop3_script.transport(script.port).open()


def by_smtp(answer: bytes, folder: Path) -> None:
    with speaking({b"EHLO": b"250-x\r\n250 AUTH PLAIN\r\n", b"AUTH": answer}) as server:
        forwarder(server, username="irina@acme.example", password=secret(folder)).open()


@pytest.mark.parametrize(
    ("log_in", "answer", "error", "advice"),
    [
        (
            by_imap,
            b"TAG NO [ALERT] Application-specific password required: https://x.example (Failure)\r\n",
            AuthError,
            APP_PASSWORD,
        ),
        (by_imap, b"TAG NO [AUTHENTICATIONFAILED] No.\r\n", AuthError, f"{TODAYS}use IMAP."),
        (by_imap, b"TAG NO [INUSE] Login failed.\r\n", Away, "lower `connections`."),
        (by_imap, b"TAG NO User is authenticated but not connected.\r\n", TransientError, "turn IMAP on"),
        (by_imap, b"* BYE IMAP access disabled for this account.\r\n", TransientError, "`disableimap`"),
        (by_imap, b"* BYE too busy\r\n", TransientError, "check that `host` and `port`"),
        (by_pop3, b"-ERR [AUTH] Application-specific password required: http://x.example\r\n", AuthError, APP_PASSWORD),
        (by_pop3, b"-ERR [AUTH] no\r\n", AuthError, f"{TODAYS}use POP3."),
        (by_pop3, b"-ERR [SYS/TEMP] Login failed.\r\n", TransientError, "POP3 allows one at a time"),
        (by_smtp, b"534-5.7.9 Application-specific password required. For more\r\n534 5.7.9 go to x\r\n", AuthError, APP_PASSWORD),
        (by_smtp, b"535 5.7.8 no\r\n", AuthError, f"{TODAYS}send by SMTP."),
        (by_smtp, b"454 4.7.0 (#AUTH005) Too many bad auth attempts.\r\n", TransientError, "see to that server"),
    ],
)
def test_a_refused_log_in_has_the_advice_for_it_and_the_class_of_its_code(
    tmp_path: Path, log_in: Callable[[bytes, Path], None], answer: bytes, error: type[GatewaydError], advice: str
) -> None:
    with pytest.raises(error) as caught:
        log_in(answer, tmp_path)
    assert type(caught.value) is error
    assert advice in caught.value.advice


def test_POP3_that_is_off_is_told_where_Gmail_says_so_after_the_log_in() -> None:
    words = b"-ERR [SYS/PERM] Your account is not enabled for POP access.\r\n"
    with ExitStack() as stack:
        script = pop3_script.Stage(stack).play([], replies={"LIST": words, "UIDL": words})
        with pop3_script.session(script) as opened, pytest.raises(AuthError) as caught:
            list(opened.listing("INBOX", None))
    assert "Enable POP for all mail" in caught.value.advice
