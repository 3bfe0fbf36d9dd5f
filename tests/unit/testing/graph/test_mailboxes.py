from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from tests.unit.testing.graph.graph_client import IMMUTABLE, Client, mail, until

if TYPE_CHECKING:
    from gatewayd.testing.graph import Graph


def test_a_folder_is_found_by_any_of_its_names_or_made(graph: Graph) -> None:
    box = graph.add_mailbox("ops@acme.example", language="nl")
    assert box.folder("INBOX") is box.folder("inbox") is box.folder("Postvak IN")
    made = box.folder("Facturen/2026")
    assert made is box.folder("Facturen").children[0]
    assert made.parent is not None
    assert made.parent.parent is box.folder("msgfolderroot")


def test_what_people_do_is_seen_by_clients(client: Client) -> None:
    box = client.mailbox
    zone = timezone(timedelta(hours=2))
    message = box.deliver(mail(), "inbox/Work", received=datetime(2026, 11, 22, 7, 0, 0, 5, tzinfo=zone))
    assert message.received == datetime(2026, 11, 22, 5, tzinfo=UTC)
    shown = [client.get(f"messages/{message.immutable_id}").json]
    box.mark_read(message)
    shown.append(client.get(f"messages/{message.immutable_id}").json)
    box.move(message, "archive")
    shown.append(client.get(f"messages/{message.immutable_id}").json)
    assert [one["isRead"] for one in shown] == [False, True, True]
    assert [one["isDraft"] for one in shown] == [False] * 3
    assert len({one["@odata.etag"] for one in shown}) == len({one["changeKey"] for one in shown}) == 3
    assert shown[2]["parentFolderId"] == box.folder("archive").id
    box.mark_read(message, is_read=False)
    assert client.get("mailFolders/archive").json["unreadItemCount"] == 1
    for _ in range(2):
        box.delete(message)
    assert box.messages("archive") == []


@pytest.mark.parametrize("of_test", [True, False])
def test_a_late_copy_is_there_when_its_time_has_come(client: Client, *, of_test: bool) -> None:
    client.graph.knobs.sent_copy_after = 0.01
    draft = client.post("messages", {"toRecipients": [{"emailAddress": {"address": "b@x.example"}}]}, Prefer=IMMUTABLE).json["id"]
    client.post(f"messages/{draft}/send")
    if of_test:
        until(lambda: client.mailbox.messages("sentitems"))
    else:
        until(lambda: client.get(f"messages/{draft}").status == 200)
    assert client.get("messages", Prefer=IMMUTABLE).values[0]["id"] == draft
