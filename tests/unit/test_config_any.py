"""Whatever stands in the files of a config: it gives faults with a place, and no other error."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatewayd import config, plugins
from gatewayd.errors import ConfigError

_MAIN = "state: state\nplugins: {folder: plugins}\nstore: {kind: paper}\n"
_ACME = "directory: {kind: cards, folder: cards}\nmatchers: [names, numbers: {digits: [4, 5]}]\n"
_SALES = "kind: pigeon\noperators: [acme]\nloft: roof\nring: !env RING\n"


@pytest.fixture(scope="module")
def registry() -> plugins.Registry:
    return plugins.load(Path(__file__).parent / "config_plugins")


_FILES = st.sampled_from(["gatewayd.yaml", "operators/acme.yaml", "accounts/sales.yaml"])
_KEYS = st.sampled_from(
    [
        "kind",
        "operators",
        "user",
        "import",
        "forward",
        "folders",
        "start",
        "after",
        "every",
        "state",
        "store",
        "plugins",
        "folder",
        "matchers",
        "users",
        "contact_types",
        "customer",
        "loft",
        "tricks",
        "digits",
        "numbers",
        "[key]",
    ]
) | st.text(max_size=5)
_WORDS = st.sampled_from(
    [
        "pigeon",
        "snail",
        "acme",
        "acme/irina",
        "cards",
        "names",
        "numbers",
        "paper",
        "all",
        "2026-01-31",
        "60s",
        "plugins",
        "\0",
        "0",
    ]
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _WORDS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=6),
    max_leaves=25,
)
_LINES = st.lists(
    st.sampled_from(
        [*"\t:-?[]{}&*!|>'\"%@`#,", "  ", "\n", "a", "a: ", "- ", "kind: pigeon\n", "!env X", "no", "---\n", "\r", "<<: "]
    )
)


def _check(folder: Path, registry: plugins.Registry, name: str, content: bytes) -> None:
    shutil.rmtree(folder)
    for other, text in (("gatewayd.yaml", _MAIN), ("operators/acme.yaml", _ACME), ("accounts/sales.yaml", _SALES)):
        (folder / other).parent.mkdir(parents=True, exist_ok=True)
        (folder / other).write_bytes(content if other == name else text.encode())
    (folder / "plugins").mkdir()
    lines = content.count(b"\n") + content.count(b"\r") + content.count("\u2028".encode()) + content.count("\u2029".encode()) + 2
    try:
        faults = config.load(folder, registry).faults
    except ConfigError as error:
        faults = error.faults
        assert faults
    for fault in faults:
        assert fault.file in {name, "accounts/sales.yaml"}
        assert fault.what
        assert 0 <= fault.line <= lines + 4 * content.count("\u0085".encode())


@given(_FILES, st.binary(max_size=200) | st.text(max_size=200).map(str.encode) | _LINES.map("".join).map(str.encode))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_bytes_give_faults_with_a_place(tmp_path: Path, registry: plugins.Registry, name: str, content: bytes) -> None:
    _check(tmp_path, registry, name, content)


@given(_FILES, st.dictionaries(_KEYS, _VALUES, max_size=8) | _VALUES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_values_give_faults_with_a_place(tmp_path: Path, registry: plugins.Registry, name: str, value: object) -> None:
    _check(tmp_path, registry, name, json.dumps(value).encode())
