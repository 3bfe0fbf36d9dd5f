"""The key that seals consents: made once, never in the place of one that was lost, and the same for all who share a store."""

from __future__ import annotations

import shutil
import stat
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gatewayd import AuthError, Folders, SealedSecret, Secret, TokenSource, TransientError, config
from gatewayd.config.consents import KEY_FILE, consents_of, load_sealing_keys, old_keys_in_use, prove_key
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql
from tests.unit.sealing import paper_authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ABOUT = {"user": "irina"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "config"
    for name in ("accounts", "operators", "plugins"):
        (found / name).mkdir(parents=True)
    (tmp_path / "state").mkdir()
    shutil.copy(paper_authority.__file__, found / "plugins" / "paper.py")
    (found / "operators" / "acme.yaml").write_text("title: Acme\n")
    (found / "gatewayd.yaml").write_text(
        f"state: {tmp_path}/state\nplugins: {{folder: plugins}}\n"
        f"credentials:\n  people: {{kind: paper, folder: {tmp_path}/authority}}\n"
    )
    for name, user in (("irina", "irina"), ("also-irina", "IRINA"), ("boss", "boss")):
        text = f"kind: papermail\noperators: [acme]\nusername: {user}@paper.example\ncredential: people\nsecond: true\n"
        (found / "accounts" / f"{name}.yaml").write_text(text)
    return found


@pytest.fixture
def read(folder: Path) -> config.Config:
    found = config.load(folder)
    assert not found.faults
    return found


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Sql]:
    made = Sql(SqlOptions(url=None), place=Folders(config=tmp_path, state=tmp_path / "state"))
    made.open()
    yield made
    made.close()


def shared() -> Sql:
    return Sql(SqlOptions(url="postgresql://nobody@nowhere/gatewayd"), place=None)  # it asks for none


def test_the_key_is_made_when_it_is_needed_for_its_owner_alone(read: config.Config, store: Sql) -> None:
    path = read.state / KEY_FILE
    prove_key(read, store)
    assert not path.exists()
    sealed = load_sealing_keys(read, store).seal("secret", ABOUT)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_sealing_keys(read, store).opened(sealed, ABOUT) == "secret"
    assert path.read_text().strip() not in repr(load_sealing_keys(read, store))


def test_a_key_that_is_lost_is_told_and_none_is_made_in_its_place(read: config.Config, store: Sql) -> None:
    path = read.state / KEY_FILE
    store.replace_secret("name", None, load_sealing_keys(read, store).seal("secret", ABOUT))
    path.unlink()
    for ask in (load_sealing_keys, prove_key):
        with pytest.raises(AuthError, match=rf"{KEY_FILE} is missing, and what the store keeps sealed, 1 in all") as raised:
            ask(read, store)
        assert "Restore it from the backup." in raised.value.advice
        assert f"base64 > {path})" in raised.value.advice
    assert not path.exists()
    # Forgotten secrets need no key.
    store.forget_secret("name")
    assert load_sealing_keys(read, store)


def test_a_key_that_was_cut_or_can_not_be_read_is_not_used(read: config.Config, store: Sql) -> None:
    path = read.state / KEY_FILE
    path.write_text("short\n")
    with pytest.raises(AuthError, match=rf"{KEY_FILE} has 5 characters") as raised:
        load_sealing_keys(read, store)
    assert raised.value.advice == "Restore it from the backup."
    path.unlink()
    path.mkdir()
    with pytest.raises(TransientError, match="Is a directory"):
        load_sealing_keys(read, store)


def test_who_shares_a_store_needs_a_key_of_the_config(read: config.Config, monkeypatch: pytest.MonkeyPatch) -> None:
    for ask in (load_sealing_keys, prove_key):
        with pytest.raises(AuthError, match=r"gatewayd\.yaml has no `sealing_key`") as raised:
            ask(read, shared())
        assert "Give all of them one `sealing_key`" in raised.value.advice
    assert not (read.state / KEY_FILE).exists()
    monkeypatch.setenv("GW_KEY", "s" * 32)
    one = replace(read, sealing_key=Secret("env", "GW_KEY"))
    prove_key(one, shared())
    sealed = load_sealing_keys(one, shared()).seal("secret", ABOUT)
    assert load_sealing_keys(replace(one, state=read.state / "elsewhere"), shared()).opened(sealed, ABOUT) == "secret"
    monkeypatch.setenv("GW_KEY", "s" * 31)
    with pytest.raises(AuthError, match="!env GW_KEY has 31 characters") as raised:
        load_sealing_keys(one, shared())
    assert (raised.value.advice, "sss" in raised.value.message) == ("Give `sealing_key` a longer one.", False)


def test_old_keys_open_and_are_named_while_they_are_in_use(
    read: config.Config, store: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = load_sealing_keys(read, store).seal("secret", ABOUT)
    store.replace_secret("name", None, old)
    monkeypatch.setenv("GW_KEY", "s" * 32)
    file = Secret("file", str(read.state / KEY_FILE))
    changed = replace(read, sealing_key=Secret("env", "GW_KEY"), old_sealing_keys=(file,))
    keys = load_sealing_keys(changed, store)
    assert keys.opened(old, ABOUT) == "secret"
    assert old_keys_in_use(changed, store.sealing_keys()) == {file: 1}
    store.replace_secret("name", old, keys.seal("secret", ABOUT))
    assert old_keys_in_use(changed, store.sealing_keys()) == {}


def test_an_old_key_that_can_not_be_had_costs_only_what_it_has_sealed(
    read: config.Config, store: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = load_sealing_keys(read, store).seal("secret", ABOUT)
    store.replace_secret("name", None, old)
    monkeypatch.setenv("GW_KEY", "s" * 32)
    monkeypatch.setenv("GW_SHORT", "short")
    gone, cut = Secret("file", str(read.state / "gone")), Secret("env", "GW_SHORT")
    changed = replace(read, sealing_key=Secret("env", "GW_KEY"), old_sealing_keys=(gone, cut))
    keys = load_sealing_keys(changed, store)
    assert keys.opened(keys.seal("secret", ABOUT), ABOUT) == "secret"
    with pytest.raises(
        AuthError, match=r"is not in gatewayd\.yaml; the secret !file .*gone can't be read: No such file.*; the secret"
    ):
        keys.opened(old, ABOUT)
    assert old_keys_in_use(changed, store.sealing_keys()) == {}
    file = Secret("file", str(read.state / KEY_FILE))
    assert load_sealing_keys(replace(changed, old_sealing_keys=(gone, file)), store).opened(old, ABOUT) == "secret"


def test_keys_are_read_from_the_config(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    main = folder / "gatewayd.yaml"
    main.write_text(main.read_text() + "sealing_key: !env GW_KEY\nold_sealing_keys: [!env GW_OLD]\n")
    found = config.load(folder)
    assert (found.sealing_key, found.old_sealing_keys) == (Secret("env", "GW_KEY"), (Secret("env", "GW_OLD"),))
    monkeypatch.setenv("GW_KEY", "short")
    monkeypatch.setenv("GW_OLD", "s" * 32)
    (fault,) = config.outside_faults(found)
    assert str(fault).startswith("gatewayd.yaml:5:14: the secret !env GW_KEY has 5 characters, expected a key of at least 32")
    monkeypatch.setenv("GW_KEY", "s" * 32)
    monkeypatch.setenv("GW_OLD", "short")
    (fault,) = config.outside_faults(found)
    assert "the secret !env GW_OLD has 5 characters" in str(fault)
    assert "Give `old_sealing_keys` a longer one" in str(fault)


def test_the_accounts_of_a_config_get_their_tokens_by_the_store(read: config.Config, store: Sql) -> None:
    found = consents_of(read, lambda: store)
    assert found.are_needed
    uses = {name: config.token_use(one.options) for name, one in read.accounts.items()}
    irina, boss = uses["irina"], uses["boss"]
    assert irina
    assert boss
    # Two accounts with one mailbox have one consent, and each asks for it in its own name.
    for use, name in ((irina, "irina"), (boss, "boss")):
        with pytest.raises(AuthError, match="has not consented") as raised:
            use.source.token(use.user, use.resource)
        assert raised.value.advice == f"Run `gatewayd account connect {name}`."
    desk = paper_authority.PaperConsent(paper_authority.PaperOptions(folder=dict(irina.source.options)["folder"]))
    desk.consented("code", "irina")
    found.keep(irina, desk.redeem(None, "code"))  # type: ignore[arg-type]  # it asks for no challenge
    # At once, though the error of a moment ago would be given again for half a minute.
    assert irina.source.token("irina@paper.example", "paper").startswith("access-")
    # The folder of plugins has loaded other classes: a reload makes other sources that are equal.
    again = config.token_use(config.load(read.folder).accounts["irina"].options)
    assert again
    assert again.source.token("irina@paper.example", "paper") == irina.source.token("irina@paper.example", "paper")


def test_without_a_store_tokens_are_refused_clearly(tmp_path: Path) -> None:
    options = paper_authority.PaperOptions(folder=str(tmp_path))
    source = TokenSource(paper_authority.PaperCredential(options))
    with pytest.raises(TransientError, match="nothing here reads what persons consented to"):
        source.token("irina")


def test_a_config_without_consents_needs_no_key(tmp_path: Path) -> None:
    (tmp_path / "gatewayd.yaml").write_text(f"state: {tmp_path}/state\n")
    assert not consents_of(config.load(tmp_path), lambda: None).are_needed


def test_what_is_sealed_by_nobody_s_key_is_counted(read: config.Config, store: Sql) -> None:
    store.replace_secret("name", None, SealedSecret("a1", b"sealed"))
    with pytest.raises(AuthError, match="1 in all"):
        prove_key(read, store)
