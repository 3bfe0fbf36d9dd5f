from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.unit.testing.graph.graph_client import IMMUTABLE, Client, mail

if TYPE_CHECKING:
    from gatewayd.testing.graph import Graph


def test_folders_have_names_of_the_language_and_are_found_by_their_names_in_any(graph: Graph) -> None:
    with Client(graph, graph.add_mailbox("info@acme.example", language="de")) as client:
        client.log_in()
        answer = client.get("mailFolders?$select=displayName,id")
        names = [value["displayName"] for value in answer.values]
        assert {"Posteingang", "Entwürfe", "Gesendete Elemente"} < {*names}
        assert "Deletions" not in names
        inbox = client.get("mailFolders/inbox").json
        assert (inbox["displayName"], inbox["totalItemCount"], inbox["unreadItemCount"]) == ("Posteingang", 0, 0)
        assert client.get(f"mailFolders/{inbox['id']}").json["id"] == inbox["id"]
        assert client.get("mailFolders/posteingang").code == "ErrorItemNotFound"


def test_folders_come_ten_a_page_and_nest(client: Client) -> None:
    for number in range(12):
        client.mailbox.folder(f"inbox/Sub {number:02}")
    leaf = client.mailbox.folder("inbox/Sub 00/Deeper/Deepest")
    pages = [*client.pages("mailFolders/inbox/childFolders")]
    assert [len(page.values) for page in pages] == [10, 2]
    sub = pages[0].values[0]
    assert (sub["displayName"], sub["childFolderCount"]) == ("Sub 00", 1)
    [deeper] = client.get(f"mailFolders/{sub['id']}/childFolders").values
    [deepest] = client.get(f"mailFolders/{deeper['id']}/childFolders?$filter=displayName eq 'Deepest'").values
    assert (deepest["id"], deepest["parentFolderId"]) == (leaf.id, deeper["id"])
    refused = client.get("mailFolders?$filter=nonsense eq 'x'")
    assert (refused.status, refused.code) == (400, "ErrorInvalidProperty")
    root = client.get("mailFolders/msgfolderroot").json
    assert (root["isHidden"], root["parentFolderId"]) == (False, root["id"])
    assert [len(page.values) for page in client.pages("mailFolders/inbox/childFolders?$top=5&$select=id")] == [5, 5, 2]


def test_messages_are_listed_newest_first_and_ten_a_page(client: Client) -> None:
    for day in range(1, 13):
        client.mailbox.deliver(mail(day), received=datetime(2026, 1, day, tzinfo=UTC))
    pages = [*client.pages("mailFolders/inbox/messages?$select=internetMessageId")]
    assert [len(page.values) for page in pages] == [10, 2]
    told = [value["internetMessageId"] for page in pages for value in page.values]
    assert told == [f"<{day}@x.example>" for day in range(12, 0, -1)]
    assert "$select=internetMessageId&$skip=10" in pages[0].link
    assert client.get("mailFolders/inbox/messages?$orderby=receivedDateTime&$top=1").values[0]["subject"] == "Mail 1"
    assert client.get("mailFolders/inbox/messages?$orderby=subject desc&$top=1").values[0]["subject"] == "Mail 9"
    where = "mailFolders/inbox/messages?$select=receivedDateTime&$top=1000&$filter=receivedDateTime ge 2026-01-11T00:00:00Z"
    assert [value["receivedDateTime"] for value in client.get(where).values] == ["2026-01-12T00:00:00Z", "2026-01-11T00:00:00Z"]
    oldest_first = client.get(f"{where}&$orderby=receivedDateTime asc").values
    assert [value["receivedDateTime"] for value in oldest_first] == ["2026-01-11T00:00:00Z", "2026-01-12T00:00:00Z"]


def test_a_message_is_shown_with_what_is_selected(client: Client) -> None:
    fields = {"Subject": "=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Cc": '"Doe, John" <john@x.example>', "References": "<a@x> <b@x>"}
    message = client.mailbox.deliver(mail(1, **fields))
    answer = client.get(f"messages/{message.item_id}")
    assert answer.status == 200
    shown = answer.json
    assert shown["subject"] == "Grüße"
    assert shown["from"] == {"emailAddress": {"name": "Ann", "address": "ann@example.org"}}
    assert shown["ccRecipients"] == [{"emailAddress": {"name": "Doe, John", "address": "john@x.example"}}]
    assert "internetMessageHeaders" not in shown
    select = "$select=id,internetMessageHeaders&$expand=singleValueExtendedProperties($filter=id eq 'LONG 0x0E08' or id eq 'String 0x1039')"
    shown = client.get(f"mailFolders/inbox/messages/{message.item_id}?{select}").json
    assert shown["internetMessageHeaders"][0] == {"name": "From", "value": "Ann <ann@example.org>"}
    assert {one["id"]: one["value"] for one in shown["singleValueExtendedProperties"]} == {
        "LONG 0x0E08": str(len(message.mime)),
        "String 0x1039": "<a@x> <b@x>",
    }
    assert "subject" not in shown
    assert client.get(f"mailFolders/archive/messages/{message.item_id}").code == "ErrorItemNotFound"


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("isRead eq false", [1, 2]),
        ("internetMessageId eq '<1@x.example>'", [1]),
        ("subject eq 'it''s'", [2]),
        ("isRead eq false and subject eq 'Mail 1'", [1]),
        ("from/emailAddress/address eq 'ann@example.org'", [1, 2]),
        ("singleValueExtendedProperties/any(ep:ep/id eq 'String 0x1039' and ep/value eq '<a@x>')", [2]),
        ("singleValueExtendedProperties/any(ep: ep/id eq 'String 0x1039' and contains(ep/value, 'a@'))", [2]),
        ("singleValueExtendedProperties/any(ep: ep/id eq 'String 0x1039' and contains(ep/value, 'z@'))", []),
    ],
)
def test_filters(client: Client, condition: str, found: list[int]) -> None:
    client.mailbox.deliver(mail(1))
    client.mailbox.deliver(mail(2, Subject="it's", References="<a@x>"))
    values = client.get(f"messages?$filter={condition}").values
    assert sorted(value["internetMessageId"] for value in values) == [f"<{number}@x.example>" for number in found]


@pytest.mark.parametrize(
    ("operator", "days"), [("eq", [2]), ("ne", [1, 3]), ("gt", [3]), ("ge", [2, 3]), ("lt", [1]), ("le", [1, 2])]
)
def test_comparisons(client: Client, operator: str, days: list[int]) -> None:
    for day in (1, 2, 3):
        client.mailbox.deliver(mail(day), received=datetime(2026, 1, day, tzinfo=UTC))
    values = client.get(f"messages?$filter=receivedDateTime {operator} 2026-01-02T00:00:00Z&$orderby=receivedDateTime").values
    assert [value["internetMessageId"] for value in values] == [f"<{day}@x.example>" for day in days]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("$filter=contains(subject,'x')", "ErrorInvalidUrlQueryFilter"),
        ("$filter=isRead eq false or isRead eq true", "ErrorInvalidUrlQueryFilter"),
        ("$filter=nonsense eq 'x'", "ErrorInvalidProperty"),
        ("$filter=isRead eq false&$orderby=receivedDateTime desc", "InefficientFilter"),
        ("$top=1001", "ErrorInvalidParameter"),
        ("$top=x", "BadRequest"),
        ("$expand=attachments", "BadRequest"),
    ],
)
def test_queries_that_graph_refuses(client: Client, query: str, code: str) -> None:
    client.mailbox.deliver(mail())
    answer = client.get(f"mailFolders/inbox/messages?{query}")
    assert (answer.status, answer.code) == (400, code)


def test_mime_comes_byte_for_byte_in_chunks(client: Client) -> None:
    raw = b"Subject: \xff\xfe\r\nX: " + bytes(range(1, 256)) * 1000 + b"\r\n\r\nno end of line\r"
    message = client.mailbox.deliver(raw)
    answer = client.mime(message.immutable_id)
    assert answer.body == raw
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.headers["Transfer-Encoding"] == "chunked"


def test_mime_below_a_folder_is_refused(client: Client) -> None:
    message = client.mailbox.deliver(mail())
    answer = client.get(f"mailFolders/inbox/messages/{message.item_id}/$value")
    assert (answer.status, answer.code) == (405, "ErrorInvalidRequest")


def test_mime_can_be_made_anew(client: Client) -> None:
    raw = b'Subject: x\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\ntext\r\n--b--\r\n'
    message = client.mailbox.deliver(raw)
    client.graph.knobs.mime = "anew"
    first, second = (client.mime(message.item_id).body for _ in range(2))
    assert first == second != raw
    client.graph.knobs.mime = "anew each time"
    third, fourth = (client.mime(message.item_id).body for _ in range(2))
    assert len({raw, first, third, fourth}) == 4
    assert b"\r\n\r\ntext\r\n" in third
    assert b"Subject: x\r\n" in third


def test_ids_have_case(client: Client) -> None:
    one, other = (client.mailbox.deliver(mail(number)) for number in range(2))
    pair = {one.immutable_id.lower(), other.immutable_id.lower(), client.mailbox.deliver(mail(2)).immutable_id.lower()}
    assert len(pair) == 2
    assert client.mime(one.immutable_id).body == one.mime
    assert client.mime(one.immutable_id.swapcase()).status == 404


def test_a_message_is_marked_as_read(client: Client) -> None:
    message = client.mailbox.deliver(mail())
    answer = client.ask("PATCH", f"messages/{message.immutable_id}", b'{"isRead": true}', Prefer=IMMUTABLE)
    assert (answer.status, answer.json["id"], answer.json["isRead"]) == (200, message.immutable_id, True)
    assert client.get("mailFolders/inbox").json["unreadItemCount"] == 0
    refused = client.ask("PATCH", f"messages/{message.immutable_id}", b'{"subject": "x"}')
    assert (refused.status, refused.code) == (400, "ErrorInvalidPropertySet")
    refused = client.ask("PATCH", f"messages/{message.immutable_id}", b"[]")
    assert (refused.status, refused.code) == (400, "BadRequest")


def test_a_move_changes_the_id_that_is_not_immutable(client: Client) -> None:
    message = client.mailbox.deliver(mail())
    before = message.item_id
    answer = client.post(f"messages/{before}/move", {"destinationId": "archive"})
    assert answer.status == 201
    assert answer.json["id"] == message.item_id != before
    answer = client.post(f"messages/{message.immutable_id}/move", {"DestinationId": "inbox"}, Prefer=IMMUTABLE)
    assert answer.json["id"] == message.immutable_id
    assert client.post(f"messages/{message.immutable_id}/move", {"destinationId": "x"}).code == "ErrorItemNotFound"


def test_what_is_deleted_can_be_recovered_and_is_in_no_folder_that_people_see(client: Client) -> None:
    message = client.mailbox.deliver(mail())
    answer = client.ask("DELETE", f"messages/{message.immutable_id}")
    assert (answer.status, answer.body) == (204, b"")
    assert client.get("mailFolders/inbox/messages").values == []
    assert len(client.get("mailFolders/recoverableitemsdeletions/messages").values) == 1
    client.mailbox.delete(message)
    assert client.mime(message.immutable_id).status == 404


def test_a_corrupt_message_has_no_mime(client: Client) -> None:
    one, other = (client.mailbox.deliver(mail(number)) for number in range(2))
    one.corrupt_value = one.corrupt_page = True
    answer = client.mime(one.item_id)
    assert (answer.status, answer.code) == (500, "ErrorContentConversionFailed")
    assert client.mime(other.item_id).status == 200
    assert client.get("mailFolders/inbox/messages?$top=2").status == 500
    assert [page.status for page in client.pages("mailFolders/inbox/messages?$top=1")] == [200, 200]


def test_paths_that_graph_does_not_have(client: Client) -> None:
    for method, path in (
        ("GET", "mailFolders/inbox/nonsense"),
        ("GET", "/v1.0/me/messages"),
        ("GET", "/v1.0/x"),
        ("GET", "/v1.0/users"),
        ("GET", "/v1.0"),
    ):
        answer = client.ask(method, path)
        assert (answer.status, answer.code) == (400, "BadRequest")
    assert client.ask("PUT", "mailFolders/inbox").status == 405
    assert client.raw("GET", "/").status == 404


def test_ids_are_decoded_and_answers_name_their_request(client: Client) -> None:
    message = client.mailbox.deliver(mail())
    encoded = quote(message.item_id, safe="")
    assert "%3D" in encoded
    answer = client.get(f"messages('{encoded}')", client_request_id="abc")
    assert answer.json["id"] == message.item_id
    assert answer.headers["client-request-id"] == "abc"
    assert answer.headers["Date"].endswith(" GMT")
    assert len(answer.headers["request-id"]) == 36
