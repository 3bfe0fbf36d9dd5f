"""docs/webhooks.md and docs/webhook.schema.json: what they show is what is done."""

from __future__ import annotations

import copy
import json
import os
import re
import socket
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gatewayd import KINDS
from gatewayd.testing.servers.proxy import free_ports
from gatewayd_webhook.answer import WebhookAnswer
from gatewayd_webhook.body import body
from tests.patience import LONG
from tests.plugins.webhook_site import OLD_SECRET, SECRET, old_secret, options, parcel, webhook

if TYPE_CHECKING:
    from collections.abc import Iterator

_DOCS = Path(__file__).parents[2] / "docs"
_PAGE = (_DOCS / "webhooks.md").read_text(encoding="utf-8")
_SCHEMA = json.loads((_DOCS / "webhook.schema.json").read_text())
_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None),
}  # fmt: skip


def wrong(value: Any, rule: Any, place: str = "") -> Iterator[str]:
    """Yield what of a value does not fit a schema; knows the words that ours uses."""
    if "$ref" in rule:
        rule = _SCHEMA["$defs"][rule["$ref"].rpartition("/")[2]]
    if "anyOf" in rule and all(list(wrong(value, one)) for one in rule["anyOf"]):
        yield f"{place} is none of these"
    names = rule.get("type", [])
    names = [names] if isinstance(names, str) else names
    if names and not any(isinstance(value, _TYPES[name]) and (name == "boolean" or value is not bool(value)) for name in names):
        yield f"{place} is no {names}"
    elif (
        ("const" in rule and value != rule["const"])
        or ("enum" in rule and value not in rule["enum"])
        or ("pattern" in rule and not re.search(rule["pattern"], value))
    ):
        yield f"{place} is {value!r}"
    if isinstance(value, dict):
        assert rule["additionalProperties"] is False
        assert sorted(rule["required"]) == sorted(rule["properties"])
        yield from (f"{place}/{name} is odd" for name in value.keys() ^ rule["properties"].keys())
        for name in value.keys() & rule["properties"].keys():
            yield from wrong(value[name], rule["properties"][name], f"{place}/{name}")
    if isinstance(value, list):
        for number, one in enumerate(value):
            yield from wrong(one, rule["items"], f"{place}/{number}")


@pytest.mark.parametrize(
    "asked", [{}, {"text": True, "raw": "inline", "raw_url": "https://mail.example.com/{id}"}, {"raw": "inline", "inline_bytes": 1}]
)
def test_what_is_posted_fits_the_schema(tmp_path: Path, asked: dict[str, Any]) -> None:
    event = json.loads(body(options(tmp_path, "https://crm.example.com/", **asked), parcel()))
    assert list(wrong(event, _SCHEMA)) == []
    assert _SCHEMA["$defs"]["kind"]["enum"] == list(KINDS)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["type"], "mail.read"), (["timestamp"], "2026-11-22"), (["more"], 1), (["data", "id"], "7"), (["data", "id"], True),
        (["data", "to"], [1]), (["data", "links", 0, "kind"], "dog"), (["data", "raw"], 7), (["data", "sent_at"], "now"),
        (["data", "more"], 1), (["data", "attachments", 0, "more"], 1), (["data", "unread"], None),
    ],
)  # fmt: skip
def test_the_schema_refuses_what_is_odd(tmp_path: Path, path: list[Any], value: object) -> None:
    event = json.loads(body(options(tmp_path, "https://crm.example.com/"), parcel()))
    place = changed = copy.deepcopy(event)
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert list(wrong(changed, _SCHEMA))


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """The page's own receiver, running."""
    (code,) = re.findall(r"```python\n(.*?)```", _PAGE, re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) <= 22
    (port,) = free_ports(1)
    environment = {**os.environ, "WEBHOOK_SECRET": SECRET, "PORT": str(port), "PYTHONUNBUFFERED": "1"}
    with (tmp_path / "output").open("wb") as output:
        process = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=output, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + LONG
        while time.monotonic() < deadline and process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        yield port
    finally:
        process.kill()
        process.wait(LONG)


def _posted(tmp_path: Path, port: int, **fields: Any) -> str:
    with closing(webhook(tmp_path, f"http://localhost:{port}/mail", **fields).open()) as courier:
        (receipt,) = courier.deliver([parcel()])
    return receipt.recipients[0].words


def test_the_pages_receiver_takes_what_is_genuine_and_once(tmp_path: Path, port: int) -> None:
    assert _posted(tmp_path, port) == "204 No Content"
    assert _posted(tmp_path, port, previous_secret=old_secret(tmp_path)) == "204 No Content"
    forged = webhook(tmp_path, f"http://localhost:{port}/mail")
    (tmp_path / "secret").write_text(OLD_SECRET)
    with closing(forged.open()) as courier:
        (receipt,) = courier.deliver([parcel(2)])
    assert (receipt.recipients[0].state, receipt.recipients[0].words) == ("refused", "401 Unauthorized")
    assert (tmp_path / "output").read_bytes().count(b"Booking 756") == 1


def test_the_page_names_the_statuses_as_they_are_taken() -> None:
    states = {status: WebhookAnswer(status=status, reason="").state for status in range(200, 600)}
    rows = _PAGE.partition("| answer | the delivery |")[2].partition("\n\n")[0].splitlines()[2:]
    told = {status: row for row in rows for status in map(int, re.findall(r"\b[2-5][0-9]{2}\b", row.split("|")[1]))}
    classes = {word[0]: row for row in rows for word in re.findall(r"\b[2-5]xx\b", row.split("|")[1])}
    words = {"delivered": "is delivered", "waiting": "is tried again", "refused": "is parked"}
    for status, state in states.items():
        assert words[state] in told.get(status, classes[str(status)[0]]), status
