"""The docs can't rot: what is generated is up to date, what is shown has been run."""

from __future__ import annotations

import inspect

from gatewayd import hookspecs, session, store
from gatewayd.plugins import OBSERVERS, ROLES
from tests import docs


def test_hooks_page_is_what_the_code_says() -> None:
    assert (docs.DOCS / "hooks.md").read_text() == docs.hooks(), "run: python -m tests.docs"


def test_every_hook_offers_a_role_or_tells_and_says_the_facts() -> None:
    names = {name for name in vars(hookspecs) if name.startswith("gatewayd_")}
    offers, tells = ({f"gatewayd_{one}" for one in group} for group in (ROLES, OBSERVERS))
    assert names == offers | tells
    for name in names:
        text = inspect.getdoc(getattr(hookspecs, name)) or ""
        for fact in ("Called", "process" if name in offers else "thread", "I/O", "Raising", "@hookimpl"):
            assert fact in text, f"{name} does not say: {fact}"


def test_every_role_method_has_a_docstring() -> None:
    documented: tuple[type, ...] = (*ROLES.values(), session.Session, session.Watch, store.Store)
    for role in documented:
        for name, member in vars(role).items():
            if inspect.isfunction(member) and not name.startswith("_"):
                assert inspect.getdoc(member), f"{role.__name__}.{name}"
