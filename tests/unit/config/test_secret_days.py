"""When secrets end, as the config says: who is told, from when on, and in which words."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Never

import pytest

from gatewayd import AuthError, Credential, Day, Expiry, TokenSource, TokenUse, Transport
from gatewayd.config import AccountConfig, Config
from gatewayd.config.secret_days import ends_soon, expiries, expiry, remark
from gatewayd.registry.loading import Registry
from gatewayd_sql.options import SqlOptions

if TYPE_CHECKING:
    from pathlib import Path

TODAY = date(2027, 2, 1)
SOON, LATER, PAST = TODAY + timedelta(days=30), TODAY + timedelta(days=31), TODAY - timedelta(days=400)


class Seal(Credential):
    kind = "seal"

    class Options(Credential.Options):
        secret_expires: Day | None = None

    def obtain(self, user: str, resource: str) -> Never:
        raise AuthError(f"no token for {user} and {resource}")


class Fields(Transport.Options):
    secret_expires: Day | None = None
    credential: TokenSource | None = None

    @property
    def token_use(self) -> TokenUse | None:
        return TokenUse(self.credential, "ann") if self.credential else None


class Stamp(Seal):
    """Knows itself when it ends."""

    def expiry(self) -> Expiry:
        return Expiry(day=SOON, what="stamp", advice="cut a new one.")


class Inline(Transport.Options):
    """Its own fields are those of a credential."""

    @property
    def token_use(self) -> TokenUse:
        return TokenUse(TokenSource(Stamp(Stamp.Options())), "ann")


def account(name: str, *, own: date | None = None, shared: date | None = None, credential: str = "") -> AccountConfig:
    source = TokenSource(Seal(Seal.Options(secret_expires=shared))) if credential else None
    fields = Fields(secret_expires=own, credential=source)
    return AccountConfig(name=name, kind="heron", operators=("acme",), options=fields, credential=credential)


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (31, ""),
        (30, "Its secret ends on 2027-03-03, in 30 days: make a new one"),
        (2, "Its secret ends on 2027-02-03, in 2 days: make a new one"),
        (1, "Its secret ends on 2027-02-02: make a new one"),
        (0, "Its secret ends on 2027-02-01: make a new one"),
        (-1, "Its secret has ended on 2027-01-31: make a new one"),
    ],
)
def test_a_secret_is_told_of_from_thirty_days_before(days: int, words: str) -> None:
    found = remark(Expiry(day=TODAY + timedelta(days=days)), TODAY)
    assert found.startswith(words)
    assert bool(found) == bool(words)


def test_nothing_is_told_where_the_config_says_nothing() -> None:
    assert remark(None, TODAY) == ""


def test_a_secret_is_told_of_once_by_its_credential_or_else_by_the_accounts_file(tmp_path: Path) -> None:
    accounts = [
        account("a", shared=PAST, credential="app"),
        account("b", shared=PAST, credential="app"),
        account("c", own=SOON),
        account("d", own=LATER),
        account("e", shared=LATER, credential="other"),
        account("f"),
        AccountConfig(name="g", kind="post", operators=("acme",), options=Transport.Options()),
    ]
    assert [one and one.day for one in map(expiry, accounts)] == [PAST, PAST, SOON, LATER, LATER, None, None]
    config = Config(
        folder=tmp_path,
        state=tmp_path,
        store_kind="sql",
        store_options=SqlOptions(url=None),
        registry=Registry(plugins=(), _classes={}),
        accounts={one.name: one for one in accounts},
    )
    found = expiries(config)
    assert {name: one.day for name, one in found.items()} == {
        "app": PAST,
        "accounts/c.yaml": SOON,
        "accounts/d.yaml": LATER,
        "other": LATER,
    }
    assert {name for name, one in found.items() if ends_soon(one, TODAY)} == {"app", "accounts/c.yaml"}


def test_a_credential_that_knows_itself_when_it_ends_says_what_ends_and_what_to_do() -> None:
    shared = Fields(credential=TokenSource(Stamp(Stamp.Options())))
    for options in (shared, Inline()):
        found = expiry(AccountConfig(name="a", kind="heron", operators=("acme",), options=options))
        assert remark(found, TODAY) == f"Its stamp ends on {SOON}, in 30 days: cut a new one."
