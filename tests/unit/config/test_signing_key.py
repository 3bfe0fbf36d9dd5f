"""The key that signs our Message-IDs: made once, kept to ourselves, or shared by daemons as a secret of the config."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from gatewayd import AuthError, ConfigError, Secret, TransientError
from gatewayd.config.signing_key import load_signer

if TYPE_CHECKING:
    from pathlib import Path


def test_the_key_is_made_once_for_its_owner_alone_and_never_shown(tmp_path: Path) -> None:
    first = load_signer(None, tmp_path)
    path = tmp_path / "signing.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_text().strip()) >= 32
    again = load_signer(None, tmp_path)
    assert again.purpose(first.message_id("mail", "example.com")) == "mail"
    assert os.listdir(tmp_path) == ["signing.key"], "a draft was left behind"  # noqa: PTH208  names are enough
    assert path.read_text().strip() not in repr(first)
    assert load_signer(None, _folder(tmp_path / "other")).purpose(first.message_id("mail", "example.com")) is None


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_processes_that_make_the_key_at_once_have_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        signers = list(pool.map(lambda _: load_signer(None, tmp_path), range(24)))
    made = signers[0].message_id("mail", "example.com")
    assert {one.purpose(made) for one in signers} == {"mail"}
    assert [path.name for path in tmp_path.iterdir()] == ["signing.key"]


def test_daemons_with_the_same_secret_know_each_others_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GW_KEY", "s" * 32)
    secret = Secret("env", "GW_KEY")
    one, two = load_signer(secret, tmp_path), load_signer(secret, tmp_path / "elsewhere")
    assert two.purpose(one.message_id("forward", "example.com")) == "forward"
    assert not list(tmp_path.iterdir()), "no file is needed"
    monkeypatch.setenv("GW_KEY", "s" * 31)
    with pytest.raises(ConfigError, match="!env GW_KEY has 31 characters, expected a key of at least 32") as raised:
        load_signer(secret, tmp_path)
    assert "sss" not in raised.value.message + raised.value.advice
    monkeypatch.delenv("GW_KEY")
    with pytest.raises(AuthError, match="missing or empty"):
        load_signer(secret, tmp_path)


def test_a_key_that_was_cut_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "signing.key").write_text("short\n")
    with pytest.raises(ConfigError, match=r"signing\.key has 5 characters") as raised:
        load_signer(None, tmp_path)
    assert "Restore it from the backup" in raised.value.advice


def test_a_state_folder_that_can_not_be_used_is_told(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match=r"signing\.key: No such file or directory"):
        load_signer(None, tmp_path / "missing")
    (tmp_path / "signing.key").mkdir()
    with pytest.raises(TransientError, match=r"signing\.key: Is a directory"):
        load_signer(None, tmp_path)
