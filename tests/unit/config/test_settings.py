"""The settings of an account: all of them, as they count, each with the line that sets it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd import config
from gatewayd.config.models.account import AccountFile

if TYPE_CHECKING:
    from pathlib import Path

ACCOUNT = "kind: imap\noperators: [acme]\nhost: localhost\nusername: irina\npassword: !file secret\n"


def shown(folder: Path, more: str, main: str = "", account: str = ACCOUNT) -> dict[str, tuple[str, str]]:
    """Return value and place of each setting of an account."""
    for name in ("accounts", "operators"):
        (folder / name).mkdir()
    (folder / "operators" / "acme.yaml").write_text("title: Acme\n")
    (folder / "gatewayd.yaml").write_text(f"state: {folder}/state\n{main}")
    (folder / "accounts" / "main.yaml").write_text(account + more)
    found = config.load(folder)
    assert found.faults == ()
    return {one.name: (one.value, one.where) for one in config.settings(found, found.accounts["main"])}


def test_every_field_of_an_account_is_shown(tmp_path: Path) -> None:
    found = {
        name.partition(".")[0]
        for name in shown(tmp_path, "import: {}\nforward: {approved: [{name: I, address: i@acme.example}]}\n")
    }
    fields = {field.alias or name for name, field in AccountFile.model_fields.items()}
    # An account is general or personal, and this kind does not send.
    assert fields - found == {"user", "share", "send"}


@pytest.mark.parametrize(
    ("own", "main", "zone"),
    [
        ("time_zone: Europe/Berlin\n", "time_zone: Asia/Tokyo\n", ("Europe/Berlin", "accounts/main.yaml:6")),
        ("", "time_zone: Asia/Tokyo\n", ("Asia/Tokyo", "gatewayd.yaml:2")),
        ("", "", ("UTC", "")),
    ],
)
def test_times_of_day_are_shown_with_their_zone_and_nothing_counts_beside_them(
    tmp_path: Path, own: str, main: str, zone: tuple[str, str]
) -> None:
    found = shown(tmp_path, f"{own}import: {{at: ['06:00', '18:30']}}\n", main)
    assert found["import.at"][0] == "06:00, 18:30"
    assert found["import.every"] == ("", "")
    assert found["time_zone"] == zone


def test_a_zone_is_shown_though_no_time_of_day_needs_it(tmp_path: Path) -> None:
    found = shown(tmp_path, "time_zone: Europe/Berlin\nimport: {after: {move: Done}}\n", "time_zone: Asia/Tokyo\n")
    assert found["time_zone"] == ("Europe/Berlin", "accounts/main.yaml:6")
    assert found["import.every"] == ("1m", "")
    assert found["import.after"] == ("move Done", "accounts/main.yaml:7")


def test_what_a_shared_credential_says_is_shown_with_its_line(tmp_path: Path) -> None:
    app = "credentials:\n  app:\n    kind: office365\n    tenant: acme.example\n    client: 11111111-2222-3333-4444-555555555555\n    secret: !file secret\n"
    account = "kind: office365\noperators: [acme]\ncredential: app\nmailbox: sales@acme.example\nimport: {}\n"
    found = shown(tmp_path, "", app, account)
    assert found["credential"] == ("app", "accounts/main.yaml:3")
    assert found["client"] == ("11111111-2222-3333-4444-555555555555", "gatewayd.yaml:6")
    assert found["secret"][1] == "gatewayd.yaml:7"
    assert found["authority"] == ("https://login.microsoftonline.com", "")
