"""Access tokens on a real Dovecot, by IMAP, POP3 and submission, and by either mechanism."""

from __future__ import annotations

import itertools
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest

from gatewayd import AuthError, Came, Session, Spool, TransientError
from gatewayd.testing.contracts.transport import message
from gatewayd.testing.contracts.watch import hear
from gatewayd.testing.servers import Dovecot
from gatewayd.testing.servers.dovecot_config import version
from gatewayd.testing.servers.smtp import SmtpServer
from gatewayd_smtp.forwarder import SmtpCourier
from tests.plugins.smtp_site import parcel
from tests.plugins.tokens import ADVICE, MECHANISMS, PROTOCOLS, Authority, Protocol, open_account

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: The ports by protocol.
PORTS = {"IMAP": "imap", "POP3": "pop3", "SMTP": "submission"}
_COUNT = itertools.count(1)


def _domain_format() -> str:
    binary = shutil.which("dovecot", path=f"{os.environ['PATH']}:/usr/sbin")
    assert binary
    return "%d" if version(binary) < (2, 4) else "%{user | domain}"


class Town:
    """A Dovecot that takes tokens by one mechanism. All users of a domain have one mailbox, and one token opens it to them."""

    def __init__(self, mechanism: str, stack: ExitStack) -> None:
        self.mechanism = mechanism
        self.sink = stack.enter_context(SmtpServer())
        self.dovecot = stack.enter_context(
            Dovecot(
                tokens=True,
                relay=self.sink.port,
                auth_mechanisms=f"plain {mechanism.lower()}",
                auth_username_format=_domain_format(),
                mailbox_idle_check_interval="1 secs",
            )
        )

    def domain(self) -> str:
        """Return a new one."""
        return f"d{next(_COUNT)}.example"

    def authority(self, domain: str, *lasts: float, size: int = 2000) -> Authority:
        """Return one whose first tokens last so many seconds, and those behind them an hour."""
        spans = itertools.chain(lasts, itertools.repeat(3600.0))
        return Authority(lambda: self.dovecot.token(domain, lasts=next(spans), size=size))

    def open(self, protocol: Protocol, given: Authority, user: str, **fields: object) -> Session | SmtpCourier:
        return open_account(protocol, self.dovecot.ports[PORTS[protocol]], given.source, username=user, **fields)


@pytest.fixture(scope="module", params=MECHANISMS)
def town(request: pytest.FixtureRequest) -> Iterator[Town]:
    with ExitStack() as stack:
        yield Town(request.param, stack)


def used(opened: Session | SmtpCourier, town: Town, folder: Path) -> bytes:
    """Use what is open, and return the message that came or went."""
    if isinstance(opened, SmtpCourier):
        ((recipient,),) = [receipt.recipients for receipt in opened.deliver([parcel()])]
        assert recipient.state == "delivered"
        return town.sink.messages[-1].data
    listed = [one for page in opened.listing("INBOX", None) for one in page.keys]
    with Spool(folder / "spool") as spool:
        (came,) = opened.fetch("INBOX", listed, spool)
        assert isinstance(came, Came)
        spool.seal()
        return came.source.read(0, came.source.size)


@pytest.mark.parametrize("size", [2000, 5000])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_long_token_opens_the_mailbox(town: Town, protocol: Protocol, size: int, tmp_path: Path) -> None:
    domain = town.domain()
    given = town.authority(domain, size=size)
    mail = message(1)
    town.dovecot.deliver(domain, [mail])
    with closing(town.open(protocol, given, f"sales@{domain}")) as opened:
        raw = used(opened, town, tmp_path)
    assert protocol == "SMTP" or raw == mail
    assert [len(one) >= size for one in given.given] == [True]
    assert f"method={town.mechanism}" in town.dovecot.log()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_P9_the_token_goes_over_TLS_that_began_after_the_greeting(town: Town, protocol: Protocol) -> None:
    domain = town.domain()
    given = town.authority(domain)
    ca_file = str(town.dovecot.ca_file)
    town.open(protocol, given, f"sales@{domain}", security="starttls", insecure=False, ca_file=ca_file).close()
    assert re.search(f"user=<{re.escape(domain)}>.*TLS", town.dovecot.log())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_expired_token_costs_exactly_one_new_one(town: Town, protocol: Protocol) -> None:
    domain = town.domain()
    given = town.authority(domain, -60.0)
    for _ in range(3):
        town.open(protocol, given, f"sales@{domain}").close()
    assert len(given.given) == 2


@pytest.mark.parametrize("whose", ["expired", "another mailbox's"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_refusal_is_told_with_the_servers_reason(town: Town, protocol: Protocol, whose: str) -> None:
    domain = town.domain()
    given = town.authority(domain, -60.0, -60.0) if whose == "expired" else town.authority(town.domain())
    with pytest.raises(AuthError) as caught:
        town.open(protocol, given, f"sales@{domain}")
    assert "with an access token was refused: the server answered" in caught.value.message
    # Dovecot 2.4 gives none where the token itself is good.
    assert '"status":' in caught.value.message or whose != "expired"
    assert caught.value.advice == ADVICE.format(protocol)
    assert len(given.given) == 2
    assert not any(one in repr(caught.value) for one in given.given)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_twenty_accounts_of_one_app_share_one_token(town: Town, protocol: Protocol) -> None:
    domain = town.domain()
    given = town.authority(domain)
    with ThreadPoolExecutor(4) as pool:
        for opened in pool.map(lambda number: town.open(protocol, given, f"user{number}@{domain}"), range(20)):
            opened.close()
    assert len(given.given) == 1


def test_a_session_that_is_ended_is_told_and_the_next_one_has_all_that_came(town: Town) -> None:
    domain = town.domain()
    given = town.authority(domain)
    with closing(town.open("IMAP", given, f"sales@{domain}")) as session:
        assert isinstance(session, Session)
        list(session.listing("INBOX", None))
        watch = session.watch("INBOX")
        assert watch is not None
        town.dovecot.deliver(domain, [message(1)])
        town.dovecot.kick(domain)
        with pytest.raises(TransientError, match="IDLE: the session ended"):
            # It may announce the mail first.
            [hear(watch) for _ in range(10)]
    with closing(town.open("IMAP", given, f"sales@{domain}")) as session:
        assert isinstance(session, Session)
        assert [len(page.keys) for page in session.listing("INBOX", None)] == [1]
    assert len(given.given) == 1


def test_P9_the_servers_log_and_ours_have_no_token(town: Town, caplog: pytest.LogCaptureFixture) -> None:
    domain = town.domain()
    given = town.authority(domain, -60.0)
    town.open("IMAP", given, f"sales@{domain}").close()
    said = caplog.text + town.dovecot.log()
    assert len(given.given) == 2
    assert not any(one[-100:] in said for one in given.given)
