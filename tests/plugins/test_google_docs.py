"""docs/google.md: its files are a sound config, and its commands do what it says."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from tests.docs import GOOGLE
from tests.plugins.google_consents import CLIENT
from tests.plugins.google_site import AUDIENCE, CLIENT_SECRET, REFRESH_TOKEN, USER, by_consent, google, secret
from tests.plugins.shown_config import HOME, shown_config
from tests.world import blocks

if TYPE_CHECKING:
    from pathlib import Path

BLOCKS = blocks(GOOGLE)
USERS = "users: {irina: {name: Irina Mari, email: irina@example.com}, petra: {name: Petra Lind, email: petra@example.com}}\n"


def test_its_files_are_a_sound_config(tmp_path: Path) -> None:
    loaded = shown_config(GOOGLE, tmp_path, operator=USERS)
    assert loaded.accounts.keys() == {"sales", "sales-out", "irina", "petra"}
    kinds = {name: dict(one.options)["credential"].kind for name, one in loaded.accounts.items()}
    assert set(kinds.values()) == {"google"}


def test_its_commands_give_a_refresh_token_that_serves(tmp_path: Path) -> None:
    """``read`` gets the secret as if it were typed."""
    commands = [block.text for block in BLOCKS if block.language == "sh"]
    (tmp_path / "credentials").mkdir()
    (tmp_path / "project-0123456789ab.json").write_text("{}")
    with google(tmp_path) as site:
        for text in commands:
            done = text.replace(HOME, str(tmp_path)).replace(AUDIENCE, site.url).replace("CLIENT_ID CODE", f"{CLIENT} 4%2F0code")
            subprocess.run(
                ["bash", "-euc", done],
                input=None if "<<" in done else f"{CLIENT_SECRET}\n".encode(),
                env={**os.environ, "SSL_CERT_FILE": str(site.ca_file)},
                cwd=tmp_path,
                check=True,
                timeout=300,
            )
        made = {path.name: path for path in (tmp_path / "credentials").iterdir()}
        assert made.keys() == {"google", "google-client", "google-petra"}
        assert {path.stat().st_mode & 0o777 for path in made.values()} == {0o600}
        assert made["google-petra"].read_text() == REFRESH_TOKEN
        by_consent(site, refresh_token=secret(tmp_path, "again", made["google-petra"].read_text())).obtain(USER, "")
    assert not (tmp_path / "project-0123456789ab.json").exists()
