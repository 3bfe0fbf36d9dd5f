"""The config folder as one value: what its files say, and what stays out for faults of one of them."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatewayd import config
from gatewayd.api.options import Secret
from gatewayd.api.values import Action
from gatewayd.errors import ConfigError
from gatewayd.message.values import Address
from gatewayd.registry import loading
from gatewayd_sql.options import SqlOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_PLUGINS = Path(__file__).parent / "config_plugins"
_MAIN = "state: state\nplugins: {folder: plugins}\nstore: {kind: paper}\n"
_ACME = """\
title: Acme Tours
brands: [DB1, "007"]
directory: {kind: cards, folder: cards}
matchers: [names, numbers: {digits: [4, 5]}]
users: {irina: {name: Irina Mari, email: irina@example.com}}
"""
_SALES = "kind: pigeon\noperators: [acme]\nloft: roof\nring: !env RING\n"


@pytest.fixture(autouse=True)
def _no_state_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.delenv("RING", raising=False)


@pytest.fixture(scope="module")
def registry() -> loading.Registry:
    return loading.load(_PLUGINS)


@pytest.fixture
def load(tmp_path: Path, registry: loading.Registry) -> Callable[..., config.Config]:
    """Load a folder of these files, which stand beside or in the place of sound ones."""

    def loaded(files: Mapping[str, str] = {}) -> config.Config:
        (tmp_path / "plugins").mkdir(exist_ok=True)
        sound = {"gatewayd.yaml": _MAIN, "operators/acme.yaml": _ACME, "accounts/sales.yaml": _SALES}
        for name, text in {**sound, **files}.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return config.load(tmp_path, registry)

    return loaded


def _lines(loaded: config.Config) -> list[str]:
    return [str(fault) for fault in loaded.faults]


def test_a_folder_becomes_one_value(load: Callable[..., config.Config], tmp_path: Path) -> None:
    loaded = load()
    assert (loaded.faults, loaded.folder, loaded.plugins_folder) == ((), tmp_path, tmp_path / "plugins")
    assert (loaded.state, loaded.store_kind) == (tmp_path / "state", "paper")
    acme = loaded.operators["acme"]
    assert (acme.title, acme.brands, acme.faulty) == ("Acme Tours", ("DB1", "007"), False)
    assert acme.users == {"irina": config.UserConfig(name="Irina Mari", email="irina@example.com")}
    assert acme.directory_kind == "cards"
    assert acme.directory_options
    assert acme.directory_options.model_dump() == {"folder": tmp_path / "cards"}
    assert [(kind, options.model_dump()) for kind, options in acme.matchers] == [("names", {}), ("numbers", {"digits": (4, 5)})]
    sales = loaded.accounts["sales"]
    assert (sales.name, sales.kind, sales.operators, sales.user) == ("sales", "pigeon", ("acme",), None)
    assert (dict(sales.options)["loft"], dict(sales.options)["ring"]) == ("roof", Secret("env", "RING"))
    assert (sales.connections, sales.imports, sales.approved) == (2, None, ())


def test_equal_folders_are_equal_values_and_a_change_shows(load: Callable[..., config.Config]) -> None:
    before = load()
    assert load() == before
    changed = load({"accounts/sales.yaml": _SALES.replace("roof", "tower")})
    assert changed.accounts["sales"] != before.accounts["sales"]
    assert changed.operators == before.operators


def test_plugins_are_loaded_from_the_folder_that_the_config_names(load: Callable[..., config.Config], tmp_path: Path) -> None:
    load()
    shutil.copy(_PLUGINS / "fakes.py", tmp_path / "plugins")
    loaded = config.load(tmp_path)
    assert (loaded.faults, sorted(loaded.accounts)) == ((), ["sales"])


def test_what_an_import_block_says(load: Callable[..., config.Config]) -> None:
    block = """\
import:
  folders: [INBOX, Sent]
  every: 5m
  enabled: false
  start: 2026-01-31
  contact_types: {customer: [sales]}
  error_queue: front-office
  after: {move: Imported mail}
forward: {approved: [{name: Duty manager, address: duty@example.com}]}
connections: unlimited
"""
    sales = load({"accounts/sales.yaml": _SALES + block}).accounts["sales"]
    assert sales.imports == config.ImportConfig(
        folders=("INBOX", "Sent"),
        every=300.0,
        enabled=False,
        start=datetime(2026, 1, 31, tzinfo=UTC),
        contact_types={"customer": ("sales",)},
        error_queue="front-office",
        after=Action(do="move", folder="Imported mail"),
    )
    assert sales.connections is None
    assert sales.approved == (Address(name="Duty manager", email="duty@example.com"),)


def test_an_empty_import_block_takes_the_defaults(load: Callable[..., config.Config]) -> None:
    assert load({"accounts/sales.yaml": _SALES + "import: {}\n"}).accounts["sales"].imports == config.ImportConfig()


@pytest.mark.parametrize(
    ("after", "action"),
    [("keep", None), ("seen", Action(do="seen")), ("delete", Action(do="delete")), ("{move: A}", Action(do="move", folder="A"))],
)
def test_what_is_done_on_the_server_afterwards(load: Callable[..., config.Config], after: str, action: Action | None) -> None:
    imports = load({"accounts/sales.yaml": f"{_SALES}import: {{after: {after}}}\n"}).accounts["sales"].imports
    assert imports
    assert imports.after == action


def test_a_personal_account_serves_its_users_operator(load: Callable[..., config.Config]) -> None:
    loaded = load({"accounts/irina.yaml": _SALES.replace("operators: [acme]", "user: acme/irina")})
    assert (loaded.accounts["irina"].operators, loaded.accounts["irina"].user) == (("acme",), "irina")


@pytest.mark.parametrize(("given", "connections"), [("", 1), ("connections: 1\n", 1), ("connections: unlimited\n", 1)])
def test_a_transport_limits_connections(load: Callable[..., config.Config], given: str, connections: int) -> None:
    assert load({"accounts/sales.yaml": _SALES.replace("pigeon", "snail") + given}).accounts["sales"].connections == connections


def test_a_start_date_needs_a_transport_that_tells_when_mail_arrived(load: Callable[..., config.Config]) -> None:
    loaded = load({"accounts/sales.yaml": _SALES.replace("pigeon", "snail") + "import: {start: 2026-01-31}\n"})
    assert _lines(loaded) == ["accounts/sales.yaml:5:17: import.start: expected all or now: snail does not tell when mail arrived"]
    assert loaded.accounts == {}


def test_P4_a_faulty_account_leaves_the_others_alone(load: Callable[..., config.Config]) -> None:
    loaded = load({"accounts/bad.yaml": "kind: pigeon\n"})
    assert sorted(loaded.accounts) == ["sales"]
    assert {fault.file for fault in loaded.faults} == {"accounts/bad.yaml"}


@pytest.mark.parametrize(
    ("text", "read"), [("titel: Acme\n", True), ("matchers: [", False), ("- acme\n", False), ("matchers: [nemes]\n", True)]
)
def test_P4_a_faulty_operator_is_kept_without_matching(load: Callable[..., config.Config], text: str, *, read: bool) -> None:
    loaded = load({"operators/acme.yaml": text, "accounts/irina.yaml": _SALES.replace("operators: [acme]", "user: acme/irina")})
    # Where its words can't be read, it may say that it receives nothing of what all operators receive.
    assert loaded.operators["acme"] == config.OperatorConfig(name="acme", receive=read, faulty=True)
    assert sorted(loaded.accounts) == ["irina", "sales"]
    assert {fault.file for fault in loaded.faults} == {"operators/acme.yaml"}


def test_a_matcher_that_can_not_be_built_is_a_fault_at_its_line(load: Callable[..., config.Config]) -> None:
    text = "directory: {kind: cards, folder: cards}\nmatchers:\n  - names\n  - numbers: {digits: [13]}\n"
    assert _lines(load({"operators/acme.yaml": text})) == ["operators/acme.yaml:4:5: matchers[1]: 13 digits bring bad luck"]


def test_a_matcher_is_not_built_from_options_that_are_faulty_already(load: Callable[..., config.Config]) -> None:
    text = "directory: {kind: cards, folder: cards}\nmatchers:\n  - numbers: {digits: [13], digits: [4]}\n"
    (line,) = _lines(load({"operators/acme.yaml": text}))
    assert line == "operators/acme.yaml:3:29: the key 'digits' is here twice, first in line 3"


def test_P9_a_plugin_that_fails_on_options_is_named_without_what_it_says(load: Callable[..., config.Config]) -> None:
    text = "directory: {kind: cards, folder: cards}\nmatchers:\n  - numbers: {digits: []}\n"
    (line,) = _lines(load({"operators/acme.yaml": text}))
    assert line.startswith("operators/acme.yaml:3:5: the plugin itself fails on these options: ValueError in fakes.py:")
    assert "empty" not in line


def test_P9_a_plugins_validator_that_raises_anything_is_named_without_what_it_says(load: Callable[..., config.Config]) -> None:
    (line,) = _lines(load({"accounts/sales.yaml": _SALES + "nest: {straw: 4711}\n"}))
    assert line.startswith("accounts/sales.yaml:1:1: the plugin itself fails on these options: KeyError in fakes.py:")
    assert "4711" not in line


@pytest.mark.parametrize(("kind", "loft", "more"), [("parrot", "cellar", "import: {}\n"), ("pigeon", "attic", "")])
def test_P4_a_plugin_that_can_not_tell_its_group_or_token_costs_its_account_alone(
    load: Callable[..., config.Config], kind: str, loft: str, more: str
) -> None:
    loaded = load({"accounts/parrot.yaml": _SALES.replace("pigeon", kind).replace("roof", loft) + more})
    (line,) = _lines(loaded)
    assert line.startswith("accounts/parrot.yaml:1:7: the plugin itself fails on these options: KeyError in fakes.py:")
    assert loft not in line
    assert sorted(loaded.accounts) == ["sales"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("nest: {strw: 1}", "5:8: unknown key 'nest.strw', did you mean 'straw'?"),
        ("nest: {straw: {a: 1}}", "5:15: nest.straw: expected a whole number, found keys and values"),
        ("height: !env RING", "5:9: height: expected a number, found a reference to a secret"),
        ("tricks: {loop: {deep: 1}}", "5:16: tricks.loop: expected a whole number, found keys and values"),
        ("tricks: !any {loop: 1}", "5:9: an unknown tag, expected !env, !file or !credential before a name"),
        ("tricks: {&a loop: 1}", "5:10: a tag or anchor at a key, expected a word"),
        ("tricks: {loop: 1, loop: 2, loop: 3}", "5:19: the key 'loop' is here twice, first in line 5"),
        ("height: 1e999", "5:9: a number that is too large, expected a smaller one, or text in quotes"),
        ("loft2: x", "5:1: unknown key 'loft2', did you mean 'loft'?"),
        ("impotr: {}", "5:1: unknown key 'impotr', did you mean 'import'?"),
    ],
)
def test_faults_in_the_fields_of_a_plugin(load: Callable[..., config.Config], text: str, what: str) -> None:
    assert _lines(load({"accounts/sales.yaml": f"{_SALES}{text}\n"}))[0] == f"accounts/sales.yaml:{what}"


@pytest.mark.parametrize("folder", ['""', '"a\\0b"', "x" * 5000, "nowhere", "gatewayd.yaml"])
def test_a_plugins_folder_that_is_none_refuses_the_config(load: Callable[..., config.Config], folder: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load({"gatewayd.yaml": f"state: state\nstore: {{kind: paper}}\nplugins: {{folder: {folder}}}\n"})
    assert {(fault.file, fault.line, fault.column) for fault in caught.value.faults} == {("gatewayd.yaml", 3, 19)}


@pytest.mark.parametrize("store", ["paper", "[paper]", "{}", "{kind: [paper]}"])
def test_a_store_without_a_kind_refuses_the_config(load: Callable[..., config.Config], store: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load({"gatewayd.yaml": f"state: state\nstore: {store}\n"})
    assert {(fault.file, fault.line) for fault in caught.value.faults} == {("gatewayd.yaml", 2)}


def test_the_state_folder_comes_from_systemd_where_the_file_does_not_say(
    load: Callable[..., config.Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/gatewayd:/var/lib/other")
    assert load({"gatewayd.yaml": "store: {kind: paper}\n"}).state == Path("/var/lib/gatewayd")
    assert load().state != Path("/var/lib/gatewayd")


def test_the_default_store_is_sql(tmp_path: Path) -> None:
    (tmp_path / "gatewayd.yaml").write_text("state: state\n")
    assert config.load(tmp_path).store_kind == "sql"


def test_the_pages_read_the_store_in_a_way_of_their_own_if_the_config_says_so(tmp_path: Path) -> None:
    (tmp_path / "gatewayd.yaml").write_text("state: state\n")
    loaded = config.load(tmp_path)
    assert loaded.web_store == (loaded.store_kind, loaded.store_options)
    store = "store: {kind: sql, url: postgresql://gatewayd_web@db/mail}"
    (tmp_path / "gatewayd.yaml").write_text(f"state: state\nweb:\n  {store}\n")
    loaded = config.load(tmp_path)
    assert loaded.web_store == ("sql", SqlOptions(url="postgresql://gatewayd_web@db/mail")) != ("sql", loaded.store_options)


def test_faults_of_the_main_file_refuse_all_and_name_the_others_too(load: Callable[..., config.Config]) -> None:
    with pytest.raises(ConfigError, match=r"gatewayd\.yaml is faulty") as caught:
        load({"gatewayd.yaml": _MAIN + "sotre: {}\n", "accounts/sales.yaml": "kind: pigeon\n"})
    assert [fault.file for fault in caught.value.faults] == ["accounts/sales.yaml"] * 3 + ["gatewayd.yaml"]
    assert caught.value.advice


def test_a_missing_config_folder_says_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no config folder .*/nowhere") as caught:
        config.load(tmp_path / "nowhere")
    assert caught.value.advice == "Name it with --config FOLDER."


def test_missing_secrets_are_found_at_their_place_and_are_no_fault_of_the_config(
    load: Callable[..., config.Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load({"accounts/zoo.yaml": _SALES.replace("!env RING", "!file secrets/ring")})
    assert loaded.faults == ()
    ring = tmp_path / "secrets" / "ring"
    advice = f"Put the secret into {ring}, readable by the service's user."
    assert [str(fault) for fault in config.outside_faults(loaded)] == [
        "accounts/sales.yaml:4:7: the secret !env RING is missing or empty. Set the environment variable RING.",
        f"accounts/zoo.yaml:4:7: the secret !file {ring} can't be read: No such file or directory. {advice}",
    ]
    monkeypatch.setenv("RING", "hunter2")
    ring.parent.mkdir()
    ring.write_text("hunter2\n")
    assert config.outside_faults(loaded) == ()
    assert "hunter2" not in repr(loaded)


def test_what_can_not_be_read_is_a_fault_of_that_file(load: Callable[..., config.Config], tmp_path: Path) -> None:
    load()
    (tmp_path / "accounts" / "folder.yaml").mkdir()
    (tmp_path / "accounts" / "gone.yaml").symlink_to("nowhere")
    os.mkfifo(tmp_path / "accounts" / "pipe.yaml")
    (tmp_path / "accounts" / "large.yaml").write_text("# " + "x" * (1 << 20))
    loaded = load()
    what = "expected a file that can be read"
    assert _lines(loaded) == [
        f"accounts/folder.yaml: {what}",
        f"accounts/gone.yaml: {what}",
        "accounts/large.yaml: too large, expected at most 1 MiB",
        f"accounts/pipe.yaml: {what}",
    ]
    assert sorted(loaded.accounts) == ["sales"]


def test_a_file_in_the_place_of_a_folder_is_a_fault(tmp_path: Path, registry: loading.Registry) -> None:
    (tmp_path / "gatewayd.yaml").write_text("state: state\nstore: {kind: paper}\n")
    (tmp_path / "accounts").write_text("")
    assert _lines(config.load(tmp_path, registry)) == ["accounts: can't be read: Not a directory"]
