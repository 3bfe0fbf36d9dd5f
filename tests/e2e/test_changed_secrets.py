"""A password is changed while the daemon goes on with the copy that systemd gave it: said, with what to do, and mended at once."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.e2e.house import House, until

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot

OLD, NEW = "Winter-2025-old", "Sommer-2026-new"


@pytest.fixture
def user(dovecot: Dovecot, tmp_path: Path) -> str:
    dovecot.user(f"secrets-{tmp_path.name}", NEW)
    return f"secrets-{tmp_path.name}"


def test_an_older_copy_is_told_without_a_word_of_it_and_a_newer_one_is_tried_at_once(
    tmp_path: Path, dovecot: Dovecot, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(tmp_path)
    house.operator("acme")
    house.account("sales", "imap", dovecot.ports["imap"], user)
    text = (house.folder / "accounts/sales.yaml").read_text()
    house.write("accounts/sales.yaml", text.replace("!file secret", "!credential sales"))
    given = tmp_path / "given"
    given.mkdir()
    (given / "sales").write_text(f"{OLD}\n")
    house.write("credentials/sales", f"{NEW}\n").chmod(0o600)
    with ExitStack() as stack:
        with monkeypatch.context() as by_systemd:
            by_systemd.setenv("CREDENTIALS_DIRECTORY", str(given))
            daemon = stack.enter_context(house.daemon())
        until("it is refused", 20, lambda: house.status()["sales"]["condition"] == "paused")
        checked = house.run("check", "--online")
        assert checked.code == 1
        assert "accounts/sales.yaml:8:11: the running service has an older copy of !credential sales, since 20" in checked.out
        assert "`systemctl restart gatewayd`" in checked.out
        assert "sales: ok" in checked.out, "the new one is right"
        told = house.run("status")
        assert "Its secret is that of 20" in told.out
        assert "older copy of !credential sales" in told.out
        row = house.status()["sales"]
        assert row["secret_since"].endswith("Z")
        # As where systemd hands over the new one when it reloads the service.
        (given / "sales").write_text(f"{NEW}\n")
        until("it is let in, long before it was due", 20, lambda: house.status()["sales"]["condition"] == "watching")
        assert "credentials changed what=" in daemon.log
        assert house.status()["sales"]["secret_since"] > row["secret_since"]
        assert house.run("check", "--online").code == 0
        for said in (checked.out, checked.err, told.out, daemon.log, *map(str, house.read("SELECT * FROM health"))):
            assert OLD not in said
            assert NEW not in said
