"""A second account on one mailbox waits for a person's word, by whatever name its server goes."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from gatewayd import ConfigError, Entry, Folders, Listed, Store, Transport
from gatewayd.config import AccountConfig, Config, ImportConfig
from gatewayd.importing import mailboxes
from gatewayd.registry.loading import Registry
from gatewayd.testing.contracts.custodian import Custodian
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SALES = AccountConfig(
    name="sales",
    kind="imap",
    operators=("acme",),
    options=Transport.Options(),
    mailbox="sales@acme.example at mail.acme.example",
    imports=ImportConfig(),
)
COPY = replace(SALES, name="copy")
#: The same mailbox under another name of its server.
ALIAS = replace(SALES, name="alias", mailbox="sales@acme.example at 192.0.2.7")
ARRIVED = datetime(2026, 1, 2, tzinfo=UTC)
LISTED = tuple(Listed(f"7:{number}", 1000 + number, ARRIVED) for number in range(1, 6))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Sql(SqlOptions(url=None), place=Folders(config=tmp_path, state=tmp_path))) as made:
        made.open()
        yield made


def claim(store: Store, account: AccountConfig) -> None:
    one = Custodian.of(store, account.name)
    try:
        mailboxes.claim(account, store, one.lease, enter=True)
    finally:
        store.release(one.lease)


def test_a_mailbox_has_one_account(store: Store) -> None:
    claim(store, SALES)
    claim(store, SALES)
    with pytest.raises(
        ConfigError, match=r"its mailbox, sales@acme\.example at mail\.acme\.example, was imported by account sales"
    ):
        claim(store, COPY)
    claim(store, replace(COPY, second=True))
    # Once allowed, it has the mailbox, too.
    claim(store, COPY)


def test_an_account_that_does_not_tell_its_mailbox_is_not_compared(store: Store) -> None:
    claim(store, replace(SALES, mailbox=""))
    claim(store, replace(COPY, mailbox=""))


def config(folder: Path, *accounts: AccountConfig) -> Config:
    return Config(
        folder=folder,
        state=folder,
        store_kind="sql",
        store_options=SqlOptions(url=None),
        registry=Registry(plugins=(), _classes={}),
        accounts={one.name: one for one in accounts},
    )


def test_status_knows_who_waits(store: Store, tmp_path: Path) -> None:
    claim(store, SALES)
    waits = dict(mailboxes.taken(config(tmp_path, SALES, COPY), store.mailboxes()))
    assert list(waits) == ["copy"]
    # Where the other account's file is there, nothing was renamed.
    assert "account rename" not in waits["copy"].advice
    renamed = dict(mailboxes.taken(config(tmp_path, COPY), store.mailboxes()))
    assert "gatewayd account rename sales copy" in renamed["copy"].advice
    assert not dict(mailboxes.taken(config(tmp_path, SALES, replace(COPY, second=True)), store.mailboxes()))


BY_ID = replace(SALES, name="by-id", mailbox="6f1c0000-2222-3333-4444-555555555555 at mail.acme.example")
UNSIZED = tuple(replace(one, size=None, key=f"id{number}") for number, one in enumerate(LISTED))


@pytest.mark.parametrize(("has", "comes"), [(SALES, BY_ID), (BY_ID, SALES)])
@pytest.mark.parametrize("count", [1, 5])
def test_a_mailbox_by_its_id_and_by_its_address_is_one_where_keys_are_of_one_mailbox(
    store: Store, has: AccountConfig, comes: AccountConfig, count: int
) -> None:
    claim(store, has)
    one = Custodian.of(store, has.name)
    one.enter(*(Entry(listed=each) for each in UNSIZED), folder="Team")
    listed = UNSIZED[:count]
    with pytest.raises(ConfigError, match="under another name, with the same messages in INBOX"):
        mailboxes.distinct(comes, store, "INBOX", listed, spans=True)
    mailboxes.distinct(replace(comes, second=True), store, "INBOX", listed, spans=True)
    mailboxes.distinct(replace(comes, mailbox="other@acme.example at elsewhere.example"), store, "INBOX", listed, spans=True)
    mailboxes.distinct(comes, store, "INBOX", listed)
    mailboxes.distinct(comes, store, "INBOX", [replace(each, arrival=ARRIVED.replace(year=2020)) for each in listed], spans=True)
    mailboxes.distinct(comes, store, "INBOX", [replace(each, key=f"x{each.key}") for each in listed], spans=True)
    mailboxes.distinct(comes, store, "INBOX", [], spans=True)
    # What it has listed already is its own.
    two = Custodian.of(store, comes.name)
    two.enter("a")
    mailboxes.distinct(comes, store, "INBOX", listed, spans=True)


def test_a_mailbox_under_another_name_of_its_server_is_known_by_its_messages(store: Store) -> None:
    claim(store, SALES)
    one = Custodian.of(store, "sales")
    one.enter(*(Entry(listed=each) for each in LISTED))
    with pytest.raises(ConfigError, match="under another name, with the same messages in INBOX"):
        mailboxes.distinct(ALIAS, store, "INBOX", LISTED)
    mailboxes.distinct(replace(ALIAS, second=True), store, "INBOX", LISTED)
    mailboxes.distinct(replace(ALIAS, mailbox="desk@acme.example at 192.0.2.7"), store, "INBOX", LISTED)
    # Two messages may be alike by chance, and one that differs shows another mailbox.
    mailboxes.distinct(ALIAS, store, "INBOX", LISTED[:2])
    mailboxes.distinct(ALIAS, store, "INBOX", [*LISTED[:-1], replace(LISTED[-1], size=7)])
