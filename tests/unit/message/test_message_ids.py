"""Message-IDs of our own: nobody else can make one (P7), and none goes unrecognised for what mail programs do to it."""

from __future__ import annotations

import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd import AuthError, ConfigError, Secret, TransientError
from gatewayd.config.signing_key import load_signer
from gatewayd.message.message_ids import Signer

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd.message.message_ids import Purpose

OURS, THEIRS = Signer(b"k" * 32), Signer(b"x" * 32)


@pytest.mark.parametrize("purpose", ["forward", "mail"])
def test_what_we_made_is_proven_and_says_what_for(purpose: Purpose) -> None:
    made = OURS.message_id(purpose, "Example.com")
    assert re.fullmatch(rf"<gw\.{purpose[0]}\.[a-z2-7]{{24}}\.[a-z2-7]{{24}}@example\.com>", made)
    assert len(made.partition("@")[0]) <= 65, "a local part has at most 64 octets (RFC 5321 section 4.5.3.1.1)"
    assert OURS.purpose(made) == purpose
    assert OURS.proven(made) == made


def test_no_two_are_equal() -> None:
    assert len({OURS.message_id("mail", "example.com") for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    "garbled", [str.upper, str.title, lambda one: one.strip("<>"), lambda one: f" {one}\t", lambda one: one.upper().strip("<>")]
)
def test_case_brackets_and_blanks_may_be_lost(garbled: object) -> None:
    made = OURS.message_id("mail", "example.com")
    assert callable(garbled)
    assert OURS.purpose(garbled(made)) == "mail"
    assert OURS.proven(garbled(made)) == made


def test_an_id_is_known_again_after_the_sending_address_has_moved() -> None:
    made = OURS.message_id("mail", "example.com")
    assert OURS.purpose(made.replace("example.com", "example.org")) == "mail"


def test_P7_forged_and_foreign_ids_are_none_of_ours() -> None:
    made = OURS.message_id("mail", "example.com")
    head, nonce, token = made[:6], made[6:30], made[31:55]
    other = OURS.message_id("mail", "example.com")[6:30]
    forged = [
        THEIRS.message_id("mail", "example.com"),
        f"<gw.f.{nonce}.{token}@example.com>",
        f"{head}{other}.{token}@example.com>",
        f"{head}{nonce}.{'a' * 24}@example.com>",
        f"{head}{nonce}.{token[:16]}@example.com>",
        f"{head}{nonce}.@example.com>",
        f"{head}{nonce}.{token}x@example.com>",
        f"{head}{nonce}.{token}>",
        f"<x.{made[1:]}",
        f"{made} {made}",
        f"see {made}",
        "",
        "<1@example.com>",
    ]
    assert [OURS.purpose(one) for one in forged] == [None] * len(forged)
    assert [OURS.proven(one) for one in forged] == [""] * len(forged)
    # Any single character that is another one makes it another's.
    for at in range(3, 55):
        changed = "a" if made[at] != "a" else "b"
        assert OURS.purpose(made[:at] + changed + made[at + 1 :]) is None, at


@given(st.text(max_size=200))
def test_whatever_stands_there_is_no_id_of_ours(text: str) -> None:
    assert OURS.purpose(text) is None
    assert OURS.purpose(f"<gw.m.{text}@example.com>") is None


@pytest.mark.parametrize(
    ("domain", "stands"),
    [
        ("münchen.example", "xn--mnchen-3ya.example"),
        ("", "gatewayd.invalid"),
        ("a b", "gatewayd.invalid"),
        ("a>\r\nBcc: x", "gatewayd.invalid"),
        ("[192.0.2.1]", "gatewayd.invalid"),
        ("x" * 300 + "é", "gatewayd.invalid"),
    ],
)
def test_no_domain_breaks_a_header(domain: str, stands: str) -> None:
    made = OURS.message_id("forward", domain)
    assert made.endswith(f"@{stands}>")
    assert OURS.purpose(made) == "forward"


# --- the key --------------------------------------------------------------------------------------------------------------


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
