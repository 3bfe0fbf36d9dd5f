"""Mail that people move between the folders of an Office 365 mailbox, whose bytes Exchange makes anew each time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.graph import Graph
from gatewayd.testing.messages import booking_messages
from tests.e2e.house import House

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def graph() -> Iterator[Graph]:
    with Graph() as server:
        server.knobs.mime = "anew each time"
        yield server


def test_a_moved_message_is_filed_once_and_done_with_where_it_lies(graph: Graph, tmp_path: Path) -> None:
    mailbox = graph.add_mailbox("sales@acme.example")
    mailbox.folder("Team")
    for raw in booking_messages(5, seed=3):
        mailbox.deliver(raw)
    house = House(tmp_path)
    house.operator("acme", reservations="id,code,title\nR1,B-756,Rome\n")
    secret = house.write("app-secret", graph.app.secret)
    house.write(
        "accounts/main.yaml",
        f"kind: office365\noperators: [acme]\nmailbox: {mailbox.id}\ntenant: {graph.app.tenant}\nclient: {graph.app.client}\n"
        f"secret: !file {secret}\nauthority: {graph.authority}\ngraph: {graph.base}\nca_file: {graph.ca_file}\ntimeout: 20s\n"
        "import:\n  folders: [INBOX, Team]\n  after: seen\n",
    )
    (report,) = house.good("import", "main", "--json").rows
    assert (report["filed"], report["settled"]) == (5, 5)
    first, second, *_ = mailbox.messages()
    mailbox.move(first, "Team")
    mailbox.mark_read(first, is_read=False)
    mailbox.delete(second)
    graph.drop_sync_states()
    graph.log.clear()
    assert house.good("import", "main", "--dry-run", "--json").rows == []
    (report,) = house.good("import", "main", "--json").rows
    assert (report["filed"], report["settled"], report["problems"]) == (0, 0, [])
    assert graph.log.find("$value") == [], "it is known by its key"
    assert not first.is_read, "what was done once is not done again"
    assert [one.immutable_id for one in mailbox.messages("Team")] == [first.immutable_id]
    assert len(house.good("mail", "list", "--json").rows) == 5
    inbox, other = house.good("audit", "main", "--json").rows
    assert (inbox["proven"], inbox["unsized"], inbox["gone"]) == (True, 3, 2)
    assert (other["states"], other["proven"], other["unsized"]) == ({"duplicate": 1}, True, 1)
    told = house.good("audit", "main").err
    assert "4 keys: the server tells no size of them, so no size is proven" in told
    assert "Custody is proven." in told
