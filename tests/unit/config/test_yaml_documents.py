"""A YAML file as plain values, each with its line and column, and with all its faults."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.api.options import Secret
from gatewayd.config import yaml_documents

if TYPE_CHECKING:
    from pathlib import Path


def read(folder: Path, text: str) -> yaml_documents.Document:
    (folder / "a.yaml").write_text(text)
    return yaml_documents.read("a.yaml", folder=folder)


def test_values_have_their_places(tmp_path: Path) -> None:
    document = read(tmp_path, "one: 1\nmore:\n  two: [a, true]\n")
    assert document.data == {"one": 1, "more": {"two": ["a", True]}}
    assert (document.values["more", "two", 1], document.keys["more", "two"]) == ((3, 12), (3, 3))
    assert document.where(("more", "two", 7)) == "a.yaml:3"
    assert (document.faults, document.secrets) == ((), ())


def test_a_fault_is_at_the_nearest_place_that_the_file_has(tmp_path: Path) -> None:
    document = read(tmp_path, "one: 1\nmore:\n  two: 2\n")
    assert str(document.fault(("more", "three"), "missing")) == "a.yaml:3:3: missing"
    assert str(document.fault(("more", "two"), "unknown", key=True)) == "a.yaml:3:3: unknown"
    assert str(document.fault(("more", "two"), "too large")) == "a.yaml:3:8: too large"


def test_a_key_twice_is_a_fault_and_spoils_no_other_value(tmp_path: Path) -> None:
    document = read(tmp_path, "one: 1\none: 2\ntwo: 3\n")
    assert [(fault.line, fault.column) for fault in document.faults] == [(2, 1)]
    assert document.data["two"] == 3


def test_secrets_are_named_and_their_files_count_from_the_config_folder(tmp_path: Path) -> None:
    document = read(tmp_path, "a: !env RING\nb: !file secrets/ring\n")
    assert [secret for _, secret in document.secrets] == [Secret("env", "RING"), Secret("file", str(tmp_path / "secrets/ring"))]


def test_what_can_not_be_read_is_a_fault_and_not_raised(tmp_path: Path) -> None:
    document = yaml_documents.read("gone.yaml", folder=tmp_path)
    assert (document.data, document.digest, len(document.faults)) == ({}, "", 1)
