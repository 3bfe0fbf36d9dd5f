"""The test server's configuration is in the language of the Dovecot that is installed."""

from __future__ import annotations

import resource
import subprocess
from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.servers.dovecot_config import command, configuration

if TYPE_CHECKING:
    from pathlib import Path

PORTS = {"imap": 1143, "imaps": 1993, "pop3": 1110, "pop3s": 1995, "submission": 1587}


def configured(folder: Path, says: str, relay: int = 0, **settings: str) -> str:
    binary = folder / "dovecot"
    binary.write_text(f"#!/bin/sh\necho '{says}'\n")
    binary.chmod(0o755)
    return configuration(str(binary), folder, ports=PORTS, sessions=0, relay=relay, settings=settings)


@pytest.mark.parametrize(
    ("says", "first", "later"),
    [
        ("2.3.4.1 (f79e8e7e4)", False, False),
        ("2.3.19.1 (9b53102964)", False, False),
        ("2.3.21", False, False),
        ("2.4.0", True, True),
        ("2.4.1-4 (7d8c0e5759)", True, True),
        ("2.10.0", True, True),
        ("3.0.1", True, True),
    ],
)
def test_each_version_gets_its_language(tmp_path: Path, says: str, first: bool, later: bool) -> None:  # noqa: FBT001  a table
    text = configured(tmp_path, says)
    assert ("dovecot_config_version = " in text) is first
    assert ("passdb passwd-file {" in text) is later
    assert "$" not in text


@pytest.mark.parametrize(("says", "section"), [("2.3.19.1", "  driver = oauth2\n"), ("2.4.1", "oauth2_local_validation {\n")])
def test_tokens_and_submission_are_there_where_they_are_wanted(tmp_path: Path, says: str, section: str) -> None:
    plain = configured(tmp_path, says)
    assert "oauth" not in plain
    assert "submission-login" not in plain
    (tmp_path / "keys").mkdir()
    text = configured(tmp_path, says, relay=2525)
    assert section in text
    assert "submission_relay_port = 2525\n" in text
    assert "$" not in text


def test_what_a_test_sets_comes_last(tmp_path: Path) -> None:
    assert configured(tmp_path, "2.4.1", ssl="no").endswith("ssl = no\n")


@pytest.mark.parametrize("says", ["2.2.36.4", "1.0"])
def test_a_version_that_is_too_old_is_told(tmp_path: Path, says: str) -> None:
    with pytest.raises(RuntimeError, match="too old; expected"):
        configured(tmp_path, says)


def test_a_program_that_has_no_version_is_told(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="expected a version"):
        configured(tmp_path, "what?")


def test_a_server_may_have_more_files_open_than_the_tests_themselves(tmp_path: Path) -> None:
    """It keeps one open for each user, and a run of all tests has more than 1,024 users."""
    shell = tmp_path / "dovecot"
    shell.write_text("#!/bin/sh\nulimit -S -n\n")
    shell.chmod(0o755)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        said = subprocess.run(command(str(shell), tmp_path), capture_output=True, text=True, check=True, timeout=60).stdout
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert int(said) == (20_000 if hard == resource.RLIM_INFINITY else min(hard, 20_000))
