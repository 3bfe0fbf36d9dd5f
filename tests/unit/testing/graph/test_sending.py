from __future__ import annotations

import base64
import math
from datetime import UTC, datetime
from email import message_from_bytes
from email.header import decode_header, make_header
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.testing.graph.graph_client import IMMUTABLE, Answer, Client, mail, until

if TYPE_CHECKING:
    from gatewayd.testing.graph import Graph

MB = 1 << 20


def _send(client: Client, mime: bytes, path: str = "sendMail") -> Answer:
    return client.ask("POST", path, base64.b64encode(mime), Content_Type="text/plain", Prefer=IMMUTABLE)


def _draft(client: Client, **message: object) -> str:
    people = [{"emailAddress": {"address": "bob@x.example"}}]
    answer = client.post("messages", {"subject": "Hi", "toRecipients": people, **message}, Prefer=IMMUTABLE)
    assert answer.status == 201
    assert answer.json["isDraft"] is True
    return str(answer.json["id"])


def _parts(mime: bytes) -> list[Any]:
    """The parts of a multipart message."""
    return list(message_from_bytes(mime).walk())[1:]


def _sent(client: Client) -> list[Any]:
    return client.get("mailFolders/sentitems/messages", Prefer=IMMUTABLE).values


def test_mime_is_sent_to_all_recipients_and_a_copy_is_kept(client: Client) -> None:
    mime = mail(
        1, From="Ops <OPS@acme.example>", To="a@x.example, B <b@x.example>", Cc="c@x.example", Bcc="d@x.example, A@x.example"
    )
    answer = _send(client, mime)
    assert (answer.status, answer.body) == (202, b"")
    delivered = client.graph.delivered
    assert [copy.recipient for copy in delivered] == ["A@x.example", "b@x.example", "c@x.example", "d@x.example"]
    assert {copy.mime for copy in delivered} == {mime.replace(b"Bcc: d@x.example, A@x.example\r\n", b"")}
    [sent] = _sent(client)
    assert (sent["internetMessageId"], sent["isDraft"], sent["isRead"]) == ("<1@x.example>", False, True)
    assert len(sent["bccRecipients"]) == 2
    assert client.mime(sent["id"]).body == mime


def test_each_copy_is_told_before_its_sender_has_an_answer(client: Client) -> None:
    told: list[tuple[str, int]] = []
    client.graph.on_delivered = lambda copy: told.append((copy.recipient, client.graph.log.requests[-1].status))
    _send(client, mail(1, To="a@x.example", Cc="b@x.example"))
    assert told == [("a@x.example", 0), ("b@x.example", 0)]


def test_mail_for_a_mailbox_arrives_there(graph: Graph, client: Client) -> None:
    friend = graph.add_mailbox("Friend@acme.example")
    _send(client, mail(1, To="FRIEND@acme.example"))
    [message] = friend.messages()
    assert message.internet_message_id == "<1@x.example>"
    assert not message.is_read


def test_what_exchange_changes_in_mail_that_goes_out(client: Client) -> None:
    client.mailbox.known_headers.add("x-known")
    fields = {"Auto-Submitted": "auto-generated", "X-Ours": "1", "X-Known": "2", "Return-Path": "<a@x>", "Message_ID": ""}
    _send(client, mail(1, **fields))
    [copy] = client.graph.delivered
    arrived = message_from_bytes(copy.mime)
    assert arrived["From"] == "ops@acme.example"
    assert [name for name in ("Auto-Submitted", "X-Ours", "X-Known", "Return-Path") if name in arrived] == ["X-Known"]
    assert arrived.get_payload() == "Hello\r\n"


def test_a_from_that_is_missing_is_the_mailbox(graph: Graph) -> None:
    with Client(graph, graph.add_mailbox("Sales@acme.example")) as client:
        client.log_in()
        graph.knobs.refuses_send_as = True
        assert _send(client, mail().replace(b"From", b"X-From")).status == 202
        assert _send(client, mail(2, From="Desk <sales@acme.example>")).status == 202
    assert [message_from_bytes(copy.mime)["From"] for copy in graph.delivered] == [
        "Sales@acme.example",
        "Desk <sales@acme.example>",
    ]


def test_a_from_is_kept_where_the_mailbox_may_send_as_it(client: Client) -> None:
    client.mailbox.send_as.add("ann@example.org")
    _send(client, mail())
    assert b"From: Ann <ann@example.org>" in client.graph.delivered[0].mime
    client.mailbox.send_as.clear()
    client.graph.knobs.refuses_send_as = True
    refused = _send(client, mail())
    assert (refused.status, refused.code) == (403, "ErrorSendAsDenied")
    assert len(client.graph.delivered) == 1


def test_a_message_id_is_replaced_if_wanted_and_made_if_missing(client: Client) -> None:
    _send(client, mail().replace(b"Message-ID", b"X-None"))
    client.graph.knobs.replaces_message_id = True
    _send(client, mail())
    made = [message_from_bytes(copy.mime)["Message-ID"] for copy in client.graph.delivered]
    assert all(one.endswith("@outlook.example>") for one in made)
    assert sorted(made) == sorted(value["internetMessageId"] for value in _sent(client))


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (b"Subject: x\r\n\r\n", "text/plain", 400, "ErrorMimeContentInvalidBase64String"),
        (base64.b64encode(b"Subject: x\r\n\r\n"), "text/plain", 400, "ErrorInvalidRecipients"),
        (b"a" * (4 * MB + 1), "text/plain", 413, "ErrorMessageSizeExceeded"),
        (b"{", "application/json", 400, "BadRequest"),
    ],
)
def test_what_cannot_be_sent(client: Client, body: bytes, kind: str, status: int, code: str) -> None:
    answer = client.ask("POST", "sendMail", body, Content_Type=kind)
    assert (answer.status, answer.code) == (status, code)
    assert client.graph.delivered == []


def test_json_is_sent_with_files_and_without_a_copy_if_wanted(client: Client) -> None:
    file = {
        "@odata.type": "#microsoft.graph.fileAttachment",
        "name": "Ünïcode.bin",
        "contentType": "application/x-test",
        "contentBytes": base64.b64encode(bytes(range(256))).decode(),
    }
    message = {
        "subject": "Grüße aus dem schönen Süden",
        "body": {"contentType": "HTML", "content": "<p>ä</p>"},
        "toRecipients": [{"emailAddress": {"name": "Bob", "address": "bob@x.example"}}],
        "internetMessageHeaders": [{"name": "X-Ours", "value": "1"}],
        "attachments": [file],
    }
    assert client.post("sendMail", {"message": message, "saveToSentItems": False}).status == 202
    [copy] = client.graph.delivered
    arrived = message_from_bytes(copy.mime)
    text, attached = _parts(copy.mime)
    assert (text.get_content_type(), text.get_payload(decode=True)) == ("text/html", "<p>ä</p>".encode())
    assert (attached.get_content_type(), attached.get_payload(decode=True)) == ("application/x-test", bytes(range(256)))
    assert attached.get_content_disposition() == "attachment"
    assert arrived["X-Ours"] == "1"
    assert str(make_header(decode_header(arrived["Subject"]))) == "Grüße aus dem schönen Süden"
    assert _sent(client) == []


def test_headers_of_json_begin_with_x_and_are_few(client: Client) -> None:
    header = {"name": "References", "value": "<a@x>"}
    answer = client.post("messages", {"internetMessageHeaders": [header]})
    assert (answer.status, answer.code) == (400, "InvalidInternetMessageHeader")
    many = [{"name": f"x-{n}", "value": "1"} for n in range(6)]
    answer = client.post("messages", {"internetMessageHeaders": many})
    assert (answer.status, answer.code) == (400, "InvalidInternetMessageHeaderCollection")
    assert client.get("mailFolders/drafts/messages").values == []
    assert client.post("messages", {"internetMessageHeaders": many[1:], "subject": "plain"}).json["subject"] == "plain"
    assert client.mailbox.messages("drafts")[0].mime.count(b"Subject: plain\r\n") == 1


@pytest.mark.parametrize(
    ("written", "status"),
    [
        ({"toRecipients": "x"}, 201),
        ({"toRecipients": ["x"]}, 201),
        ({"toRecipients": [{"emailAddress": {"address": 1}}]}, 201),
        ({"body": "x"}, 201),
        ({"categories": "x"}, 201),
        ({"singleValueExtendedProperties": [1]}, 201),
        ({"attachments": ["x"]}, 400),
        ({"internetMessageHeaders": ["x"]}, 400),
    ],
)
def test_json_of_other_shapes_has_no_effect_or_is_refused(client: Client, written: dict[str, object], status: int) -> None:
    assert client.post("messages", written).status == status
    assert len(client.get("mailFolders/drafts/messages").values) == (status == 201)


def test_a_draft_becomes_its_sent_copy_and_is_not_sent_again(client: Client) -> None:
    draft = _draft(client)
    assert [value["id"] for value in client.get("mailFolders/drafts/messages", Prefer=IMMUTABLE).values] == [draft]
    assert client.post(f"messages/{draft}/send").status == 202
    assert [(value["id"], value["isDraft"]) for value in _sent(client)] == [(draft, False)]
    assert client.get("mailFolders/drafts/messages").values == []
    again = client.post(f"messages/{draft}/send")
    assert (again.status, again.code) == (404, "ErrorItemNotFound")
    assert [copy.message_id for copy in client.graph.delivered] == [draft]


def test_a_sent_copy_has_the_time_when_it_was_sent(client: Client) -> None:
    draft = _draft(client)
    client.mailbox.messages("drafts")[0].received = datetime(2026, 1, 1, tzinfo=UTC)
    client.post(f"messages/{draft}/send")
    assert len(client.get("mailFolders/sentitems/messages?$filter=receivedDateTime ge 2026-02-01T00:00:00Z").values) == 1


def test_a_draft_of_mime_keeps_its_lines(client: Client) -> None:
    mime = mail(1, From="ops@acme.example", References="<a@x> <b@x>", In_Reply_To="<b@x>")
    draft = _send(client, mime, "messages").json["id"]
    assert client.mime(draft).body == mime
    condition = "singleValueExtendedProperties/any(ep:ep/id eq 'String 0x1042' and ep/value eq '<b@x>')"
    assert len(client.get(f"mailFolders/drafts/messages?$filter={condition}").values) == 1
    client.post(f"messages/{draft}/send")
    assert client.graph.delivered[0].mime == mime
    assert _send(client, mime, "mailFolders/archive/messages").json["parentFolderId"] == client.mailbox.folder("archive").id


def test_a_draft_is_changed_and_marked(client: Client) -> None:
    mark = {"id": "String {6f1c0000-0000-0000-0000-000000000000} Name mark", "value": "m1"}
    references = {"id": "String 0x1039", "value": "<a@x>"}
    draft = _draft(client, singleValueExtendedProperties=[mark, references], categories=["ours"])
    written = b'{"subject": "Changed", "body": {"contentType": "text", "content": "New"}, "internetMessageId": "<m@x>"}'
    assert client.ask("PATCH", f"messages/{draft}", written).status == 200
    client.post(f"messages/{draft}/send")
    [copy] = client.graph.delivered
    arrived = message_from_bytes(copy.mime)
    assert (arrived["Subject"], arrived["References"], arrived["Message-ID"]) == ("Changed", "<a@x>", "<m@x>")
    assert (arrived.get_content_type(), arrived.get_payload(decode=True)) == ("text/plain", b"New")
    assert b"m1" not in copy.mime
    condition = f"singleValueExtendedProperties/any(ep: ep/id eq '{mark['id']}' and ep/value eq 'm1')"
    [sent] = client.get(f"mailFolders/sentitems/messages?$filter={condition}", Prefer=IMMUTABLE).values
    assert (sent["id"], sent["categories"]) == (draft, ["ours"])


def test_a_person_deletes_a_draft_while_it_is_to_be_sent(client: Client) -> None:
    draft = _draft(client)

    def delete(request: object) -> None:
        if str(request).endswith("/send"):
            client.mailbox.delete(client.mailbox.messages("drafts")[0])

    client.graph.on_request = delete
    assert client.post(f"messages/{draft}/send").status == 404
    assert client.graph.delivered == []


def test_the_sent_copy_appears_late(client: Client) -> None:
    client.graph.knobs.sent_copy_after = math.inf
    draft = _draft(client)
    assert client.post(f"messages/{draft}/send").status == 202
    assert client.get(f"messages/{draft}").status == 404
    assert _sent(client) == []
    client.graph.place_late_copies()
    assert [value["id"] for value in _sent(client)] == [draft]
    client.graph.knobs.sent_copy_after = 0.01
    _send(client, mail())
    until(lambda: len(_sent(client)) == 2)


@pytest.mark.parametrize("late", [0.0, math.inf])
def test_a_second_send_delivers_twice_if_wanted(client: Client, late: float) -> None:
    client.graph.knobs.sends_twice = True
    client.graph.knobs.sent_copy_after = late
    draft = _draft(client)
    assert [client.post(f"messages/{draft}/send").status for _ in range(2)] == [202, 202]
    assert [copy.message_id for copy in client.graph.delivered] == [draft, draft]
    client.graph.place_late_copies()
    assert len(_sent(client)) == 1


def test_files_are_added_to_drafts(client: Client) -> None:
    draft = _send(client, mail(1, Content_Type="text/html"), "messages").json["id"]
    file = {"@odata.type": "#microsoft.graph.fileAttachment", "name": "a.txt", "contentBytes": "aGVsbG8="}
    answer = client.post(f"messages/{draft}/attachments", {**file, "isInline": True, "contentId": "c1"})
    assert (answer.status, answer.json["size"]) == (201, 5)
    assert [one["name"] for one in client.get(f"messages/{draft}/attachments").values] == ["a.txt"]
    assert client.get(f"messages/{draft}").json["hasAttachments"] is True
    client.post(f"messages/{draft}/send")
    text, attached = _parts(client.graph.delivered[0].mime)
    assert (text.get_content_type(), text.get_payload()) == ("text/html", "Hello\r\n")
    assert (attached["Content-ID"], attached.get_payload(decode=True)) == ("<c1>", b"hello")
    assert (attached.get_content_type(), attached.get_content_disposition()) == ("application/octet-stream", "inline")
    [sent] = _sent(client)
    assert client.post(f"messages/{sent['id']}/attachments", file).status == 400


@pytest.mark.parametrize("change", [{"@odata.type": "#microsoft.graph.itemAttachment"}, {"contentBytes": "no base64"}])
def test_files_that_graph_refuses(client: Client, change: dict[str, str]) -> None:
    file = {"@odata.type": "#microsoft.graph.fileAttachment", "name": "a.txt", "contentBytes": "aGVsbG8=", **change}
    assert client.post(f"messages/{_draft(client)}/attachments", file).status == 400


def _session(client: Client, draft: str, size: int) -> Answer:
    item = {"attachmentType": "file", "name": "big.bin", "size": size}
    return client.post(f"messages/{draft}/attachments/createUploadSession", {"AttachmentItem": item})


def _put(client: Client, url: str, data: bytes, start: int, size: int, **headers: str) -> Answer:
    return client.raw("PUT", url, data, Content_Range=f"bytes {start}-{start + len(data) - 1}/{size}", **headers)


def test_a_large_file_goes_up_piece_by_piece_without_a_token(client: Client) -> None:
    draft = _draft(client)
    data = bytes(range(256)) * (5 * MB // 256)
    answer = _session(client, draft, len(data))
    assert (answer.status, answer.json["nextExpectedRanges"]) == (201, ["0-"])
    url = answer.json["uploadUrl"]
    assert url.startswith(client.graph.elsewhere + "/")
    first = _put(client, url, data[: 4 * MB], 0, len(data))
    assert (first.status, first.json["nextExpectedRanges"]) == (200, [f"{4 * MB}-"])
    last = _put(client, url, data[4 * MB :], 4 * MB, len(data))
    assert (last.status, last.body) == (201, b"")
    assert "/attachments/" in last.headers["Location"]
    client.post(f"messages/{draft}/send")
    _, attached = _parts(client.graph.delivered[0].mime)
    assert attached.get_payload(decode=True) == data
    assert _put(client, url, b"x", 0, 1).status == 404


def test_an_upload_that_leaks_the_token_or_leaves_a_gap_is_refused(client: Client) -> None:
    draft = _draft(client)
    url = _session(client, draft, 4 * MB).json["uploadUrl"]
    assert _put(client, url, b"x" * MB, 0, 4 * MB, Authorization=f"Bearer {client.token}").status == 400
    assert [one.port for one in client.graph.log.requests if one.has_authorization][-1] != client.graph.port
    for start, size in ((MB, 4 * MB), (0, 5 * MB)):
        assert _put(client, url, b"x" * MB, start, size).status == 416
    assert _put(client, url, b"x" * MB, 0, 4 * MB).status == 200
    assert _put(client, url, b"x" * MB, 0, 4 * MB).status == 416
    assert client.raw("GET", url).status == 405
    assert client.raw("DELETE", url).status == 204
    assert _put(client, url, b"x" * MB, MB, 4 * MB).status == 404


def test_an_upload_ends_with_its_draft(client: Client) -> None:
    url = _session(client, _draft(client), 4 * MB).json["uploadUrl"]
    client.mailbox.delete(client.mailbox.messages("drafts")[0])
    assert _put(client, url, b"x" * MB, 0, 4 * MB).status == 404


@pytest.mark.parametrize(
    ("size", "code"),
    [(3 * MB - 1, "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize"), (151 * MB, "ErrorAttachmentSizeLimitExceeded")],
)
def test_sizes_for_which_there_is_no_upload(client: Client, size: int, code: str) -> None:
    answer = _session(client, _draft(client), size)
    assert (answer.status, answer.code) == (400, code)


def test_sending_needs_its_permission(client: Client) -> None:
    client.app.roles = {"Mail.ReadWrite"}
    client.log_in()
    assert _send(client, mail()).code == "ErrorAccessDenied"
    assert client.post(f"messages/{_draft(client)}/send").code == "ErrorAccessDenied"
    client.app.roles = {"Mail.Send"}
    client.log_in()
    assert _send(client, mail(), "messages").code == "ErrorAccessDenied"
    assert _send(client, mail()).status == 202
