from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewayd.testing.graph import Graph
from tests.unit.testing.graph.graph_client import IMMUTABLE, Answer, Client, mail

if TYPE_CHECKING:
    from gatewayd.testing.graph import ExchangeMailbox

DELTA = "mailFolders/inbox/messages/delta?$select=internetMessageId,isRead"


@dataclass
class Reader:
    """What a client knows of a folder by its delta rounds."""

    client: Client
    prefer: str
    link: str = DELTA
    known: dict[str, str] = field(default_factory=dict)
    pages: list[Answer] = field(default_factory=list)

    def round(self) -> list[str]:
        """Walk a round; return what it told."""
        told = []
        for answer in self.client.pages(self.link, Prefer=self.prefer):
            self.pages.append(answer)
            for value in answer.values:
                told.append(("-" if "@removed" in value else "+") + value["id"])
                if "@removed" in value:
                    self.known.pop(value["id"], None)
                else:
                    self.known[value["id"]] = value["internetMessageId"]
            self.link = answer.link
        return told


def one_page(reader: Reader) -> None:
    answer = reader.client.get(reader.link, Prefer=reader.prefer)
    for value in answer.values:
        if "@removed" in value:
            reader.known.pop(value["id"], None)
        else:
            reader.known[value["id"]] = value["internetMessageId"]
    reader.link = answer.link


def test_rounds_tell_what_is_there_what_is_new_what_changed_and_what_is_gone(client: Client) -> None:
    box = client.mailbox
    first, second, third = (box.deliver(mail(number)) for number in range(3))
    reader = Reader(client, f"{IMMUTABLE}, odata.maxpagesize=2")
    assert reader.round() == [f"+{one.immutable_id}" for one in (first, second, third)]
    assert [len(answer.values) for answer in reader.pages] == [2, 1]
    assert reader.round() == []
    fourth = box.deliver(mail(4))
    box.mark_read(first)
    box.move(second, "Inbox/Done")
    box.delete(third)
    assert sorted(reader.round()) == sorted(
        [f"+{fourth.immutable_id}", f"+{first.immutable_id}", f"-{second.immutable_id}", f"-{third.immutable_id}"]
    )
    assert reader.known == {one.immutable_id: one.internet_message_id for one in (first, fourth)}


def test_links_have_the_function_form_and_name_nothing_but_a_state(client: Client) -> None:
    [answer] = client.pages(DELTA)
    path = f"/v1.0/users('{client.mailbox.id}')/mailFolders('inbox')/messages/delta?$deltatoken="
    assert answer.link.startswith(client.graph.authority + path)
    assert "select" not in answer.link


def test_what_a_first_query_selected_holds_for_its_links(client: Client) -> None:
    [answer] = client.pages("mailFolders/inbox/messages/delta?$select=isRead")
    client.mailbox.deliver(mail())
    [value] = client.get(answer.link).values
    assert {*value} == {"@odata.type", "@odata.etag", "id", "isRead"}


def test_the_preference_for_pages_is_confirmed_and_ten_is_the_default(client: Client) -> None:
    for number in range(12):
        client.mailbox.deliver(mail(number))
    assert [len(answer.values) for answer in client.pages(DELTA)] == [10, 2]
    [answer] = client.pages(DELTA, Prefer="odata.maxpagesize=50")
    assert answer.headers["Preference-Applied"] == "odata.maxpagesize=50"


def test_top_is_no_size_of_a_page_but_cuts_off_what_follows(client: Client) -> None:
    for number in range(5):
        client.mailbox.deliver(mail(number))
    [answer] = client.pages(f"{DELTA}&$top=3")
    assert len(answer.values) == 3
    assert client.get(answer.link).values == []


def test_ids_change_with_each_move_unless_immutable_ones_are_preferred(client: Client) -> None:
    message = client.mailbox.deliver(mail())
    before = message.item_id
    reader = Reader(client, "")
    reader.round()
    client.mailbox.move(message, "archive")
    client.mailbox.move(message, "inbox")
    assert reader.round() == [f"-{before}", f"+{message.item_id}"]
    assert client.mime(before).code == "ErrorItemNotFound"
    assert client.mime(message.immutable_id).body == client.mime(message.item_id).body == message.mime


def test_moved_away_and_back_is_lost_with_immutable_ids(client: Client) -> None:
    message = client.mailbox.deliver(mail())
    reader = Reader(client, IMMUTABLE)
    reader.round()
    for folder in ("archive", "inbox"):
        client.mailbox.move(message, folder)
    assert reader.round() == [f"-{message.immutable_id}"]
    assert reader.round() == []
    assert client.mailbox.messages() == [message]
    client.graph.knobs.loses_moved_back = False
    for folder in ("archive", "inbox"):
        client.mailbox.move(message, folder)
    assert reader.round() == [f"+{message.immutable_id}"]


@pytest.mark.parametrize("prefer", ["", IMMUTABLE])
def test_what_leaves_during_a_round_is_not_told_as_there(client: Client, prefer: str) -> None:
    messages = [client.mailbox.deliver(mail(number)) for number in range(3)]
    reader = Reader(client, f"odata.maxpagesize=1, {prefer}")
    one_page(reader)
    gone = messages[1].immutable_id if prefer else messages[1].item_id
    client.mailbox.move(messages[1], "archive")
    assert [told[1:] for told in reader.round()] == [messages[2].immutable_id if prefer else messages[2].item_id]
    assert reader.round() == [f"-{gone}"]


def test_what_a_client_does_itself_comes_back_in_the_next_round(client: Client) -> None:
    patched, moved, deleted = (client.mailbox.deliver(mail(number)) for number in range(3))
    reader = Reader(client, IMMUTABLE)
    reader.round()
    client.ask("PATCH", f"messages/{patched.immutable_id}", b'{"isRead": true}')
    client.post(f"messages/{moved.immutable_id}/move", {"destinationId": "archive"})
    client.ask("DELETE", f"messages/{deleted.immutable_id}")
    assert reader.round() == [f"+{patched.immutable_id}", f"-{moved.immutable_id}", f"-{deleted.immutable_id}"]
    assert [value["isRead"] for value in reader.pages[-1].values[:1]] == [True]


def test_a_full_page_has_no_empty_one_behind_it(client: Client) -> None:
    for number in range(4):
        client.mailbox.deliver(mail(number))
    answers = [*client.pages(DELTA, Prefer="odata.maxpagesize=2")]
    assert [len(answer.values) for answer in answers] == [2, 2]
    assert "Preference-Applied" not in client.get(DELTA).headers
    assert client.get(DELTA, Prefer="odata.maxpagesize=0").status == 200
    assert client.get(DELTA, Prefer="odata.maxpagesize=x").code == "BadRequest"


def test_the_oldest_comes_first_unless_asked_otherwise(client: Client) -> None:
    for day in (2, 3, 1):
        client.mailbox.deliver(mail(day), received=datetime(2026, 1, day, tzinfo=UTC))
    for order, days in (("", [1, 2, 3]), ("&$orderby=receivedDateTime desc", [3, 2, 1])):
        told = [value["internetMessageId"] for value in client.get(DELTA + order).values]
        assert told == [f"<{day}@x.example>" for day in days]


def test_a_filter_has_five_thousand_messages_at_most(client: Client) -> None:
    for number in range(5_001):
        client.mailbox.deliver(mail(number), received=datetime(2026, 1, 2, tzinfo=UTC))
    for query, count in (("&$filter=receivedDateTime gt 2026-01-01T00:00:00Z", 5_000), ("", 5_001)):
        pages = client.pages(f"{DELTA}{query}", Prefer="odata.maxpagesize=1000")
        assert sum(len(page.values) for page in pages) == count


def test_a_filter_holds_back_old_mail_and_nothing_that_is_removed(client: Client) -> None:
    [before] = client.pages(f"{DELTA}&$filter=receivedDateTime ge 2099-01-01T00:00:00Z")
    message = client.mailbox.deliver(mail())
    assert before.values == []
    between = client.get(before.link)
    assert between.values == []
    client.mailbox.delete(message)
    assert [value["id"] for value in client.get(between.link).values] == [message.item_id]


def test_change_types_are_told_alone(client: Client) -> None:
    [before] = client.pages(f"{DELTA}&changeType=created")
    message = client.mailbox.deliver(mail())
    between = client.get(before.link)
    assert len(between.values) == 1
    client.mailbox.mark_read(message)
    assert client.get(between.link).values == []
    # New and changed since is new.
    client.mailbox.mark_read(client.mailbox.deliver(mail(2)))
    assert len(client.get(between.link).values) == 1
    client.mailbox.deliver(mail(3))
    client.mailbox.delete(message)
    assert len(client.get(between.link).values) == 2


def test_dropped_states_are_answered_with_410_on_either_link(client: Client) -> None:
    for number in range(3):
        client.mailbox.deliver(mail(number))
    first = client.get(DELTA, Prefer="odata.maxpagesize=2")
    second = client.get(first.link)
    client.graph.drop_sync_states()
    assert client.get(second.link.replace("inbox", "archive")).status == 410
    for link in (first.link, second.link):
        answer = client.get(link)
        assert (answer.status, answer.code) == (410, "SyncStateNotFound")
        assert answer.headers["Location"].endswith("/delta?$deltatoken=")
    assert client.get(answer.headers["Location"]).status == 200


def test_a_page_can_be_asked_for_again(client: Client) -> None:
    for number in range(5):
        client.mailbox.deliver(mail(number))
    first = client.get(DELTA, Prefer="odata.maxpagesize=2")
    again = [client.get(first.link, Prefer="odata.maxpagesize=2").values for _ in range(2)]
    assert again[0] == again[1]
    assert len(again[0]) == 2


@pytest.mark.parametrize(("knob", "times"), [("empty_pages", 2), ("replayed_pages", 2), ("empty_pages", 1), ("replayed_pages", 1)])
def test_odd_pages_end_in_the_same_content(client: Client, knob: str, times: int) -> None:
    for number in range(3):
        client.mailbox.deliver(mail(number))
    setattr(client.graph.knobs, knob, times)
    reader = Reader(client, "odata.maxpagesize=2")
    told = reader.round()
    assert {*reader.known.values()} == {f"<{number}@x.example>" for number in range(3)}
    assert len(reader.pages) == 2 + times
    doubled = 0 if knob == "empty_pages" else 2 + (times - 1)
    assert len(told) == 3 + doubled


def test_foreign_links_lead_to_another_host(client: Client) -> None:
    for number in range(3):
        client.mailbox.deliver(mail(number))
    client.graph.knobs.foreign_links = True
    link = client.get(DELTA, Prefer="odata.maxpagesize=2").link
    assert link.startswith(f"{client.graph.elsewhere}/v1.0/")
    assert client.get(link).status == 404
    assert [(one.port, one.has_authorization) for one in client.graph.log.requests[-1:]] == [
        (int(client.graph.elsewhere.rpartition(":")[2]), True)
    ]


def test_one_corrupt_message_fails_its_page_and_not_a_page_of_its_own(client: Client) -> None:
    messages = [client.mailbox.deliver(mail(number)) for number in range(3)]
    messages[1].corrupt_page = True
    answer = client.get(DELTA)
    assert (answer.status, answer.code) == (500, "ErrorContentConversionFailed")
    reader = Reader(client, "odata.maxpagesize=1")
    assert len(reader.round()) == 3


def test_a_mailbox_is_full_of_sync_states_at_last(client: Client) -> None:
    client.mailbox.most_initial_deltas = 2
    links = [client.get(DELTA).link for _ in range(2)]
    answer = client.get(DELTA)
    assert (answer.status, answer.code) == (403, "ErrorQuotaExceeded")
    assert client.get(links[0]).status == 200


def test_what_delta_does_not_support(client: Client) -> None:
    answer = client.get("messages/delta")
    assert (answer.status, answer.code) == (400, "ErrorInvalidUrlQuery")
    assert "Change tracking is not supported" in answer.json["error"]["message"]
    assert client.get(f"{DELTA}&$search=x").status == 400
    assert client.get("mailFolders/nowhere/messages/delta").code == "ErrorItemNotFound"


def test_the_names_of_the_function_are_all_good(client: Client) -> None:
    client.mailbox.deliver(mail())
    user = f"/v1.0/users('{client.mailbox.id}')"
    for path in ("mailFolders('inbox')/messages/delta()", "mailFolders/inbox/messages/microsoft.graph.delta()"):
        assert len(client.get(f"{user}/{path}").values) == 1


CHANGES = st.lists(
    st.tuples(st.sampled_from(["deliver", "read", "away", "back", "delete", "page", "round"]), st.integers(0, 5)), max_size=25
)


def _change(box: ExchangeMailbox, what: str, number: int) -> None:
    folder = "archive" if what == "back" else "inbox"
    messages = box.messages(folder)
    if what == "deliver":
        box.deliver(mail(number))
    elif messages:
        message = messages[number % len(messages)]
        if what == "read":
            box.mark_read(message)
        elif what == "delete":
            box.delete(message)
        else:
            box.move(message, "archive" if what == "away" else "inbox")


@settings(max_examples=60, deadline=None)
@given(CHANGES, st.booleans(), st.integers(1, 3))
def test_rounds_lead_to_the_content_of_the_folder(changes: list[tuple[str, int]], immutable: bool, size: int) -> None:  # noqa: FBT001
    with Graph() as graph, Client(graph) as client:
        client.log_in()
        graph.knobs.loses_moved_back = False
        for number in range(3):
            client.mailbox.deliver(mail(number))
        prefer = f"odata.maxpagesize={size}" + (f", {IMMUTABLE}" if immutable else "")
        reader = Reader(client, prefer)
        for what, number in changes:
            if what == "round":
                reader.round()
            elif what == "page":
                one_page(reader)
            else:
                _change(client.mailbox, what, number)
        # The round that is under way, and one more for what changed meanwhile.
        reader.round()
        reader.round()
        ids = {(one.immutable_id if immutable else one.item_id): one.internet_message_id for one in client.mailbox.messages()}
        assert reader.known == ids
