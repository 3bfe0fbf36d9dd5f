"""A config folder that was accepted, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


FAKES = Path(__file__).parent / "config_plugins" / "fakes.py"

MAIN = "state: state\nplugins: {folder: plugins}\nstore: {kind: paper}\n"

ACME = """\
title: Acme Tours
directory: {kind: cards, folder: cards}
matchers: [names, numbers: {digits: [4, 5]}]
users: {irina: {name: Irina Mari, email: irina@example.com}}
"""

SALES = "kind: pigeon\noperators: [acme]\nloft: roof\nring: !file secrets/ring\n"

IRINA = "kind: pigeon\nuser: acme/irina\nloft: roof\nring: !env RING\n"

FILES = {"gatewayd.yaml": MAIN, "operators/acme.yaml": ACME, "accounts/sales.yaml": SALES, "accounts/irina.yaml": IRINA}

FAULTY = "kind: pigeon\noperators: [acme\n"


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def kept_copies(folder: Path) -> dict[str, bytes]:
    root = folder / "state" / "accepted"
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
