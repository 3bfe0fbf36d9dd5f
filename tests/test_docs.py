"""The docs can't rot: what is generated is up to date, what is shown has been run."""

from __future__ import annotations

import ast
import inspect
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, get_args

from gatewayd.api import forwarder, hookspecs, session, store
from gatewayd.api.health import AccountHealth, Condition, Lengths
from gatewayd.registry.loading import OBSERVERS, ROLES
from gatewayd.runtime import journal
from gatewayd.runtime.metrics import Metrics
from tests import docs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def test_hooks_page_is_what_the_code_says() -> None:
    assert (docs.DOCS / "hooks.md").read_text() == docs.hooks(), "run: python -m tests.docs"


def test_contributing_names_every_file_of_the_kernel() -> None:
    text = docs.CONTRIBUTING.read_text()
    assert text == docs.with_rooms(text), "run: python -m tests.docs"
    assert all(f"`{room}" in text for room in docs.ROOMS)


def test_the_page_on_google_has_the_table_of_its_refusals() -> None:
    text = docs.GOOGLE.read_text()
    assert text == docs.with_refusals(text), "run: python -m tests.docs"
    assert docs.refusals() in text


def test_the_page_on_office365_has_the_tables_of_its_errors() -> None:
    text = docs.OFFICE365.read_text()
    assert text == docs.with_faults(text), "run: python -m tests.docs"
    assert docs.token_faults() in text
    assert docs.graph_faults() in text


def test_the_page_for_people_has_the_table_of_refused_log_ins() -> None:
    text = docs.PEOPLE.read_text()
    assert text == docs.with_login_refusals(text), "run: python -m tests.docs"
    assert docs.login_refusals() in text


def test_every_hook_offers_a_role_or_tells_and_says_the_facts() -> None:
    names = {name for name in vars(hookspecs) if name.startswith("gatewayd_")}
    offers, tells = ({f"gatewayd_{one}" for one in group} for group in (ROLES, OBSERVERS))
    assert names == offers | tells
    for name in names:
        text = inspect.getdoc(getattr(hookspecs, name)) or ""
        for fact in ("Called", "process" if name in offers else "thread", "I/O", "Raising", "@hookimpl"):
            assert fact in text, f"{name} does not say: {fact}"


def test_every_role_method_has_a_docstring() -> None:
    documented: tuple[type, ...] = (
        *ROLES.values(),
        session.Session,
        session.Watch,
        forwarder.Courier,
        store.Store,
        *store.Store.__bases__,
    )
    for role in documented:
        for name, member in vars(role).items():
            if inspect.isfunction(member) and not name.startswith("_"):
                assert inspect.getdoc(member), f"{role.__name__}.{name}"


# --- docs/operations.md -----------------------------------------------------------------------------------------------

OPERATIONS = (docs.DOCS / "operations.md").read_text()


def _table(head: str) -> list[list[str]]:
    """The rows of the table with this head, as cells."""
    rows = OPERATIONS.partition(f"| {head} |")[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


def _code(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def _calls(function: Callable[..., object]) -> Iterator[ast.Call]:
    tree = ast.parse(inspect.getsource(function))
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def test_the_page_names_each_event_of_the_log_that_is_ever_said_and_no_other() -> None:
    named = {event for row in _table("event | level | when, and fields besides `account`") for event in _code(row[0])}
    sources = "".join(path.read_text() for path in docs.DOCS.parent.glob("gatewayd/**/*.py"))
    functions = [one for name, one in inspect.getmembers(journal, inspect.isfunction) if f"journal.{name}" in sources]
    texts = [one.args[1] for function in functions for one in _calls(function) if getattr(one.func, "id", "") == "write"]
    said = {text.value for text in texts if isinstance(text, ast.Constant)} | {"library speaks", "config fault"}
    loops = {"visit problem", "visit note"}
    assert len(said) > 25
    assert named == said | loops


def test_the_page_names_each_metric_and_no_other() -> None:
    rows = _table("metric | is")
    named = {name for row in rows for name in re.findall(r"gatewayd_\w+", row[0])}
    metrics = Metrics(version="1")
    metrics.told(
        [AccountHealth(account="a", holder="o", condition="new")],
        Lengths(waiting={"a": (1, datetime.now(UTC))}, queued={"o": 1}, undelivered={"o": 1}, stuck={"o": 1}),
    )
    metrics.secret(datetime.now(UTC).date())
    served = set(re.findall(r"^# TYPE (\w+) ", metrics.text(), re.MULTILINE))
    assert named == served
    asked = set(re.findall(r"gatewayd_\w+(?=[{ )\[])", "".join(row[0] for row in _table("alarm | means | do"))))
    assert {name.removesuffix("_bucket") for name in asked} <= served


def test_the_page_explains_each_condition_of_an_account() -> None:
    conditions = {*get_args(Condition), "unattended"}
    assert {word for row in _table("condition | means") for word in _code(row[0])} == conditions
