"""Secrets and CA files that change while the daemon runs: seen, shown without a word of them, and tried at once."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path  # noqa: TC003  pydantic reads it
from typing import TYPE_CHECKING, Never

import pytest

from gatewayd import AuthError, Credential, TokenSource, Transport
from gatewayd.api.options import Secret
from gatewayd.config import AccountConfig, Config
from gatewayd.config.secret_copies import SecretCopies, copies_of
from gatewayd.config.values import SecretUse
from gatewayd.daemon.secret_watcher import SecretWatcher
from gatewayd.registry.loading import Registry
from gatewayd.runtime.instance import Instance
from gatewayd_sql.options import SqlOptions
from tests.unit.log import logged
from tests.unit.supervised import until

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Instance]:
    with Instance(tmp_path, "daemon") as made:
        yield made


def secret(folder: Path, name: str, text: str | None) -> Secret:
    if text is not None:
        (folder / name).write_text(text)
    return Secret(by="file", name=str(folder / name))


def config(folder: Path, *uses: tuple[str, Secret], signing_key: Secret | None = None) -> Config:
    return Config(
        folder=folder,
        state=folder,
        store_kind="sql",
        store_options=SqlOptions(url=None),
        registry=Registry(plugins=(), _classes={}),
        signing_key=signing_key,
        secrets=tuple(SecretUse(file=file, line=1, column=1, secret=one) for file, one in uses),
    )


def told(folder: Path) -> SecretCopies:
    until(lambda: copies_of(folder))
    (found,) = copies_of(folder).values()
    return found


def test_P9_nobody_can_find_a_secret_by_what_is_told_of_it(tmp_path: Path, owner: Instance) -> None:
    one = secret(tmp_path, "one", "Sommer2026")
    made = SecretWatcher(owner, every=0.01)
    made.apply(config(tmp_path, ("accounts/a.yaml", one)))
    copies = told(tmp_path)
    made.stop()
    # So few bits that of ten million likely passwords more than a hundred have the same.
    assert len(copies.by_name[str(one)].mark) * 4 <= 16
    (file,) = tmp_path.glob("owners/*/secrets.json")
    assert "Sommer2026" not in file.read_text()
    assert file.parent.stat().st_mode & 0o077 == 0
    owner.close()
    assert not file.exists()


def test_a_changed_secret_is_seen_and_told_to_whom_it_concerns(tmp_path: Path, owner: Instance) -> None:
    one, other, gone, key = (secret(tmp_path, *each) for each in (("one", "a"), ("other", "b"), ("gone", None), ("key", "c")))
    heard: list[Collection[str]] = []
    made = SecretWatcher(owner, heard.append, every=0.01)
    uses = [("accounts/a.yaml", one), ("accounts/b.yaml", one), ("accounts/c.yaml", other), ("operators/o.yaml", gone)]
    with logged() as log:
        made.apply(config(tmp_path, *uses, ("gatewayd.yaml", key), signing_key=key))
        before = told(tmp_path)
        assert (before.by_name[str(gone)].mark, before.since([gone])) == ("", None)
        assert not heard
        (tmp_path / "one").write_text("new\n")
        until(lambda: heard == [["accounts/a.yaml", "accounts/b.yaml"]])
        (tmp_path / "gone").write_text("here")
        until(lambda: heard[1:] == [["operators/o.yaml"]])
        # Ours was taken when the daemon began, whatever the file says by now.
        (tmp_path / "key").write_text("other")
        (tmp_path / "other").unlink()
        until(lambda: heard[2:] == [["accounts/c.yaml"]])
        made.apply(config(tmp_path, *uses[:1]))
        until(lambda: set(told(tmp_path).by_name) == {str(one)})
        made.stop()
    after = told(tmp_path)
    assert before.is_other(one)
    assert not after.is_other(one)
    assert not any("ca_file" in name for name in after.by_name)
    newest, first = after.since([one, other]), before.since([one])
    assert newest
    assert first
    assert newest > first
    assert "credentials changed" in log.getvalue()
    assert str(one) in log.getvalue()


class Seal(Credential):
    kind = "seal"

    class Options(Credential.Options):
        wax: Secret | None = None
        ca_file: Path | None = None

    def obtain(self, user: str, resource: str) -> Never:
        raise AuthError(f"no token for {user} and {resource}")


def test_the_secret_of_a_shared_credential_concerns_the_accounts_that_name_it(tmp_path: Path, owner: Instance) -> None:
    one = secret(tmp_path, "one", "a")
    account = AccountConfig(name="a", kind="heron", operators=("acme",), options=Transport.Options(), credential="app")
    shared = TokenSource(Seal(Seal.Options(wax=one)))
    used = replace(config(tmp_path, ("gatewayd.yaml", one)), accounts={"a": account}, credentials={"app": shared})
    heard: list[Collection[str]] = []
    made = SecretWatcher(owner, heard.append, every=0.01)
    made.apply(used)
    told(tmp_path)
    (tmp_path / "one").write_text("b")
    until(lambda: heard == [["accounts/a.yaml", "gatewayd.yaml"]])
    made.stop()


def test_a_ca_file_that_was_replaced_is_seen_and_is_no_secret(tmp_path: Path, owner: Instance) -> None:
    class Server(Transport.Options):
        ca_file: Path

    (tmp_path / "ca.pem").write_text("old")
    account = AccountConfig(name="a", kind="imap", operators=("acme",), options=Server(ca_file=tmp_path / "ca.pem"))
    heard: list[Collection[str]] = []
    made = SecretWatcher(owner, heard.append, every=0.01)
    made.apply(replace(config(tmp_path, ("accounts/b.yaml", secret(tmp_path, "one", "a"))), accounts={"a": account}))
    before = told(tmp_path)
    os.utime(tmp_path / "ca.pem", ns=(1, 1))
    until(lambda: heard == [["accounts/a.yaml"]])
    made.stop()
    assert told(tmp_path).by_name == before.by_name


def test_the_ca_file_of_a_shared_credential_concerns_the_accounts_that_share_it(tmp_path: Path, owner: Instance) -> None:
    (tmp_path / "ca.pem").write_text("old")
    shared = TokenSource(Seal(Seal.Options(ca_file=tmp_path / "ca.pem")))
    accounts = {
        name: AccountConfig(name=name, kind="imap", operators=("acme",), options=Transport.Options(), credential=credential)
        for name, credential in {"a": "app", "b": "", "c": "other"}.items()
    }
    heard: list[Collection[str]] = []
    made = SecretWatcher(owner, heard.append, every=0.01)
    made.apply(
        replace(config(tmp_path, ("gatewayd.yaml", secret(tmp_path, "one", "a"))), accounts=accounts, credentials={"app": shared})
    )
    told(tmp_path)
    os.utime(tmp_path / "ca.pem", ns=(1, 1))
    until(lambda: heard == [["accounts/a.yaml", "gatewayd.yaml"]])
    made.stop()
