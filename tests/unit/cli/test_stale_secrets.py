"""A secret that the running service has an older copy of: ``status`` tells it at each account that needs it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gatewayd.config.secret_copies import SecretCopies, SecretCopy, new_key
from gatewayd.runtime.instance import Instance

if TYPE_CHECKING:
    from tests.unit.cli.status_house import Desk

READ = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_an_older_copy_of_a_shared_credentials_secret_is_told_at_the_accounts_that_name_it_alone(two: Desk) -> None:
    main = (two.house.folder / "gatewayd.yaml").read_text()
    two.house.write(
        "gatewayd.yaml",
        f"{main}credentials:\n  app: {{kind: google, client: c, client_secret: !credential app, refresh_token: !env T}}\n",
    )
    two.house.write("credentials/app", "new\n").chmod(0o600)
    path = two.house.folder / "accounts/sales.yaml"
    path.write_text(path.read_text().replace("password: !file secret", "credential: app"))
    with Instance(two.house.state, "daemon") as daemon:
        # No mark of a secret has this one.
        SecretCopies(new_key(), {"!credential app": SecretCopy(since=READ, mark="older")}).tell(daemon)
        advice = {row["account"]: row["advice"] for row in two.status("--json").of("account")}
        checked = two.run("check", "--online").out
    assert "the running service has an older copy of !credential app, since 2026-03-01 12:00" in advice["sales"]
    assert advice["reservations"] is None
    # Where it is written, it is told once.
    assert checked.count("older copy of !credential app") == 1
    assert "gatewayd.yaml:" in next(line for line in checked.splitlines() if "older copy" in line)
