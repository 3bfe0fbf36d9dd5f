"""docs/office365.md: its files are a sound config, and its command keeps the secret."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gatewayd import Secret, config
from gatewayd_office365.certificate import read_certificate
from gatewayd_office365.credential_options import Office365CredentialOptions
from gatewayd_office365.options import Office365Options
from tests.docs import OFFICE365
from tests.plugins.shown_config import HOME, shown_config
from tests.world import blocks

if TYPE_CHECKING:
    from pathlib import Path

BLOCKS = blocks(OFFICE365)


def test_its_files_are_a_sound_config(tmp_path: Path) -> None:
    loaded = shown_config(OFFICE365, tmp_path, operator="users: {irina: {name: Irina Mari, email: irina@acme.example}}\n")
    found = [one.options for one in loaded.accounts.values() if isinstance(one.options, Office365Options)]
    assert all(one.tokens.options.secret is None for one in found if one.credential)  # type: ignore[attr-defined]
    people = [one for one in found if isinstance(one.tokens.options, Office365CredentialOptions) and one.tokens.options.consent]
    assert [one.mailbox for one in people] == ["irina@acme.example"]
    # With the secret, as the page has it at first.
    (tmp_path / "accounts/irina.yaml").unlink()
    first = next(block.text for block in BLOCKS if block.name.endswith("gatewayd.yaml"))
    (tmp_path / "gatewayd.yaml").write_text(f"state: {tmp_path}\n{first}")
    assert config.load(tmp_path).faults == ()
    # The same app, for Microsoft as well as for us, and another one that persons consent to.
    assert len(found) == 3
    assert len({one.app for one in found}) == 2


def test_its_command_keeps_the_secret_for_root_alone(tmp_path: Path) -> None:
    text, _ = (block.text for block in BLOCKS if block.language == "sh")
    (tmp_path / "credentials").mkdir()
    subprocess.run(["bash", "-euc", text.replace(HOME, str(tmp_path))], input=b"q~.8&+x\n", check=True, timeout=60)
    kept = tmp_path / "credentials/acme365"
    assert (kept.read_text(), kept.stat().st_mode & 0o777) == ("q~.8&+x", 0o600)


def test_its_commands_make_a_certificate_whose_key_root_alone_can_read(tmp_path: Path) -> None:
    _, text = (block.text for block in BLOCKS if block.language == "sh")
    (tmp_path / "credentials").mkdir()
    subprocess.run(["bash", "-euc", text.replace(HOME, str(tmp_path))], check=True, timeout=60)
    (kept,) = (tmp_path / "credentials").iterdir()
    assert (kept.name, kept.stat().st_mode & 0o777) == ("acme365-pem", 0o600)
    found = read_certificate(Secret("file", str(kept)), datetime.now(UTC))
    assert found.key.key_size == 3072
    assert found.ends > datetime.now(UTC) + timedelta(days=729)
    uploaded = (tmp_path / "acme365.crt").read_text()
    assert uploaded in kept.read_text()
    assert "PRIVATE" not in uploaded
