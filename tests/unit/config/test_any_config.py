"""Whatever stands in the files of a config: it gives faults with a place, and no other error."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gatewayd import config
from gatewayd.errors import ConfigError
from gatewayd.registry import loading

_MAIN = "state: state\nplugins: {folder: plugins}\nstore: {kind: paper}\n"
_ACME = "directory: {kind: cards, folder: cards}\nmatchers: [names, numbers: {digits: [4, 5]}]\n"
_SALES = "kind: pigeon\noperators: [acme]\nloft: roof\nring: !env RING\n"


@pytest.fixture(scope="module")
def registry() -> loading.Registry:
    return loading.load(Path(__file__).parent / "config_plugins")


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
        "send",
        "system",
        "targets",
        "account",
        "to",
        "when",
        "linked",
        "from",
        "subject",
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
        "post",
        "bell",
        "parrot",
        "sales",
        "a@example.com",
        "@example.com",
        "(",
        "person",
    ]
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _WORDS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=6),
    max_leaves=25,
)
# What has the right shape around what is any: most of it is looked into, and some of it by what checks files against each other.
_OUTGOING = st.fixed_dictionaries(
    {
        "targets": st.dictionaries(
            st.just("duty") | _KEYS, st.fixed_dictionaries({"kind": _WORDS, "account": _WORDS, "to": _VALUES})
        ),
        "forward": st.lists(st.fixed_dictionaries({"when": st.dictionaries(_KEYS, _VALUES, max_size=3), "to": _WORDS | _VALUES})),
    }
)
_LINES = st.lists(
    st.sampled_from(
        [*"\t:-?[]{}&*!|>'\"%@`#,", "  ", "\n", "a", "a: ", "- ", "kind: pigeon\n", "!env X", "no", "---\n", "\r", "<<: "]
    )
)


def _check(folder: Path, registry: loading.Registry, name: str, content: bytes) -> None:
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
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_give_faults_with_a_place(tmp_path: Path, registry: loading.Registry, name: str, content: bytes) -> None:
    _check(tmp_path, registry, name, content)


@given(_FILES, st.dictionaries(_KEYS, _VALUES, max_size=8) | _VALUES | _OUTGOING)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_values_give_faults_with_a_place(tmp_path: Path, registry: loading.Registry, name: str, value: object) -> None:
    _check(tmp_path, registry, name, json.dumps(value).encode())


_WRITTEN = st.sampled_from(
    [*"\t:-?[]{}&*!|>'\"%@`#,", " ", "  ", "\n", "\n ", "hunter2", "0hunter2", "!env ", "!file ", "!credential ", "\\", "1_"]
)


@given(st.lists(_WRITTEN, max_size=6).map("".join))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@example("hunter2")
@example("!env hunter2!")
@example("!credential hunter2/hunter2")
@example("[hunter2]")
@example("*hunter2")
@example("!hunter2 x")
@example('"hunter2')
def test_P9_a_password_in_the_file_is_never_shown(tmp_path: Path, registry: loading.Registry, password: str) -> None:
    (tmp_path / "accounts").mkdir(exist_ok=True)
    (tmp_path / "gatewayd.yaml").write_text("state: state\nstore: {kind: paper}\n")
    (tmp_path / "accounts" / "sales.yaml").write_text(f"kind: pigeon\nring: {password}\n", newline="")
    for fault in config.load(tmp_path, registry).faults:
        # A key is shown, and only a key.
        assert "hunter2" not in fault.what or "key '" in fault.what
