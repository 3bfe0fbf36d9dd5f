"""An account whose file is gone is forgotten: all that it brought goes, what is somebody else's stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.house import until
from tests.e2e.terminal import Terminal
from tests.e2e.test_renamed import ids, made
from tests.e2e.test_renamed import killed as killed_command

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot


def test_P1_a_forgotten_account_takes_its_mail_along_and_leaves_that_of_others(tmp_path: Path, dovecot: Dovecot) -> None:
    house = made(tmp_path, dovecot)
    with house.daemon():
        # The personal mailbox has the same bytes.
        until("it is filed", 20, lambda: house.filed().total() == 9)
        refused = house.run("account", "forget", "sales", "--yes")
        assert (refused.code, "accounts/sales.yaml is still there" in refused.err) == (1, True)
        file = house.folder / "accounts/sales.yaml"
        text = file.read_text()
        file.unlink()
        no_terminal = house.run("account", "forget", "sales")
        assert (no_terminal.code, "give --yes" in no_terminal.err) == (2, True)
        (done,) = house.good("account", "forget", "sales", "--yes", "--json").rows
        assert (done["mails"], done["filings"], done["shared"], done["size"]) == (3, 6, 3, 0)
        assert house.filed("sales").total() == 0
        assert house.filed("irina").total() == 3
        assert ids(house, "--operator", "nord") == set()
        house.good("audit", "irina")
        nothing = house.run("account", "forget", "sales", "--yes")
        assert (nothing.code, "nothing is kept of account 'sales'" in nothing.err) == (1, True)
        # An account of that name begins anew.
        file.write_text(text)
        until("it is imported anew", 30, lambda: house.filed("sales").total() == 6)
    house.good("audit", "sales")


def test_P1_killed_while_it_is_forgotten_the_same_command_ends_it(tmp_path: Path, dovecot: Dovecot) -> None:
    house = made(tmp_path, dovecot)
    house.good("import")
    file = house.folder / "accounts/sales.yaml"
    text = file.read_text()
    file.unlink()
    kills = 0
    for at in range(4, 10):
        kills += killed_command(house, "commit", at, "account", "forget", "sales", "--yes")
        left = {table: house.read(f"SELECT count(*) FROM {table} WHERE account = 'sales'")[0][0] for table in ("mail", "ledger")}
        assert left["mail"] == left["ledger"] in (0, 3)
        if not left["mail"]:
            break
    assert kills
    done = house.run("account", "forget", "sales", "--yes")
    assert done.code in (0, 1), "nothing is left of it where it was killed at its end"
    for table in ("mail", "ledger", "folder", "mailbox", "lease"):
        assert house.read(f"SELECT * FROM {table} WHERE account = 'sales'") == []
    file.write_text(text)
    assert house.good("import", "sales", "--json").rows[0]["filed"] == 3


def test_a_person_is_told_what_goes_and_asked(tmp_path: Path, dovecot: Dovecot) -> None:
    house = made(tmp_path, dovecot)
    house.good("import", "sales")
    (house.folder / "accounts/sales.yaml").unlink()
    assert "to take its mail back: `gatewayd account forget sales`" in house.run("status").out
    for answer, says, left in (("n", "nothing was taken back", 6), ("y", "Account sales is forgotten, with 3 mails.", 0)):
        with Terminal(house, "account", "forget", "sales") as terminal:
            terminal.wait_for("Account sales brought 3 mails, by 3 keys of its ledger, filed 6 times.")
            terminal.wait_for("Take that back for good?")
            terminal.type(answer)
            terminal.wait_for(says)
            assert terminal.ended() == (1 if answer == "n" else 0)
        assert house.filed().total() == left
