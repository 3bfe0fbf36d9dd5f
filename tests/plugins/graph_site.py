"""A mailbox on the stand-in for Microsoft Graph, for the tests of the plugin ``office365``."""

from __future__ import annotations

import hashlib
import itertools
from typing import TYPE_CHECKING

from gatewayd import Secret
from gatewayd_office365.options import Office365Options

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd.testing.graph import EntraApp, Graph

_numbers = itertools.count()


def secret_file(folder: Path, text: str) -> Secret:
    """Write a secret into a file, the same one for the same secret: accounts that refer to one file share their tokens."""
    path = folder / f"secret-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    path.write_text(text)
    return Secret("file", str(path))


def fields(graph: Graph, app: EntraApp | None = None) -> dict[str, object]:
    """Return the fields of a credential for an app of the stand-in."""
    app = app or graph.app
    return {
        "tenant": app.tenant,
        "client": app.client,
        "secret": secret_file(graph.folder, app.secret),
        "authority": graph.authority,
        "ca_file": str(graph.ca_file),
        "timeout": "60s",
    }


def new_address() -> str:
    """Return an address that no mailbox has yet."""
    return f"box{next(_numbers)}@acme.example"


def options(graph: Graph, mailbox: str, app: EntraApp | None = None, **changed: object) -> Office365Options:
    """Return the options of an account; ``changed`` replaces fields."""
    return Office365Options.model_validate({**fields(graph, app), "graph": graph.base, "mailbox": mailbox, **changed})
