"""Gmail shows a message in the folder of each of its labels, and in All Mail: it is filed once (P1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.testing.messages import booking_messages
from tests.e2e.house import House

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot

ALL_MAIL = "[Gmail]/All Mail"


def test_P1_a_message_in_the_folders_of_several_labels_is_filed_once(dovecot: Dovecot, tmp_path: Path) -> None:
    house = House(tmp_path)
    house.operator("acme")
    dovecot.user("labels", "pass")
    inbox, labelled, archived, new = list(booking_messages(4))
    dovecot.deliver("labels", [inbox, labelled])
    dovecot.deliver("labels", [labelled], folder="Trips")
    dovecot.deliver("labels", [inbox, labelled, archived], folder=ALL_MAIL)
    house.account("main", "imap", dovecot.ports["imap"], "labels", folders=f"[INBOX, Trips, {ALL_MAIL!r}]")
    (first,) = house.good("import", "main", "--json").rows
    assert (first["listed"], first["filed"], first["duplicate"]) == (6, 3, 3)

    dovecot.deliver("labels", [new])
    dovecot.deliver("labels", [new], folder=ALL_MAIL)
    # A label that is given later.
    dovecot.deliver("labels", [archived], folder="Trips")
    (second,) = house.good("import", "main", "--json").rows
    assert (second["listed"], second["filed"], second["duplicate"]) == (3, 1, 2)
    assert all(folder["proven"] for folder in house.good("audit", "main", "--json").rows)
    assert len(house.good("mail", "list", "--json").rows) == 4
