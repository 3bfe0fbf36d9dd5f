"""Changes of accounts that send and of targets, their copies, and the signing key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatewayd import Forwarder, Store, Transport, config
from gatewayd.api.options import Secret
from gatewayd.registry import loading
from tests.unit.config.sound_folder import ACME, KINDS, MAIN, OUT, SALES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gatewayd.api.roles import Plugin

_PLUGINS = Path(__file__).parent / "config_plugins"


def _lines(loaded: config.Config) -> list[str]:
    return [str(fault) for fault in loaded.faults]


@pytest.mark.parametrize(
    ("files", "accounts", "operators"),
    [
        ({"operators/acme.yaml": ACME.replace("urgent", "late")}, (), ("acme",)),
        ({"operators/acme.yaml": ACME.replace("loud", "low")}, (), ("acme",)),
        ({"operators/acme.yaml": ACME.replace("inline", "attached")}, (), ("acme",)),
        ({"operators/acme.yaml": f"# a line more\n{ACME}"}, (), ()),
        ({"accounts/out.yaml": OUT + "  cc: false\n"}, ("out",), ()),
        ({"accounts/out.yaml": f"# a line more\n{OUT}"}, (), ()),
        ({"accounts/out.yaml": OUT.replace("Rome", "Oslo")}, ("out",), ()),
    ],
)
def test_what_a_change_of_what_goes_out_touches(
    load: Callable[..., config.Config], files: Mapping[str, str], accounts: tuple[str, ...], operators: tuple[str, ...]
) -> None:
    old = load()
    new = load(files)
    assert new.faults == ()
    assert config.changes(old, new) == config.Changes(accounts_changed=accounts, operators_changed=operators)
    assert config.fingerprint_of(old.operators["acme"], old.registry) == config.fingerprint_of(new.operators["acme"], new.registry)


def _reloaded(folder: Path, change: Callable[[str], str], previous: config.Config | None = None) -> config.Config:
    """The same folder, with other code behind its plugins."""
    (folder / "plugins").mkdir(exist_ok=True)
    (folder / "plugins" / "fakes.py").write_text(change((_PLUGINS / "fakes.py").read_text()))
    (folder / "gatewayd.yaml").write_text("plugins: {folder: plugins}\n" + MAIN)
    return config.running(folder, previous)


_PLAIN = """
from gatewayd import Forwarder, hookimpl

class %s(Forwarder):
    kind = "%s"
    sends_mail = %s
    def open(self): ...

@hookimpl
def gatewayd_forwarders():
    return [%s]
"""


def test_a_forwarders_code_that_changed_touches_who_sends_by_it(load: Callable[..., config.Config], tmp_path: Path) -> None:
    """Their options are equal: only the code tells."""
    text = "targets: {a: {kind: mule, account: mule, to: [duty@example.com]}}\n"
    load(
        {
            "operators/acme.yaml": text + "forward: [{when: {}, to: a}]\n",
            "operators/nord.yaml": "targets: {a: {kind: gong}}\n",
            "operators/sud.yaml": "title: Sud\n",
            "accounts/mule.yaml": "kind: mule\noperators: [acme]\nsend: {from: {address: a@b.example}}\n",
        }
    )
    mule, gong = _PLAIN % ("Mule", "mule", True, "Mule"), _PLAIN % ("Gong", "gong", False, "Gong")
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "mule.py").write_text(mule)
    (tmp_path / "plugins" / "gong.py").write_text(gong)
    old = _reloaded(tmp_path, str)
    assert old.faults == ()
    (tmp_path / "plugins" / "mule.py").write_text(mule + "\n")
    new = _reloaded(tmp_path, str)
    assert (old.accounts, old.operators) == (new.accounts, new.operators)
    assert config.changes(old, new) == config.Changes(accounts_changed=("mule",), operators_changed=("acme",))
    (tmp_path / "plugins" / "gong.py").write_text(gong + "\n")
    assert config.changes(new, _reloaded(tmp_path, str)) == config.Changes(operators_changed=("nord",))


@pytest.mark.parametrize(
    ("gone", "accounts", "faulty"),
    [
        ([], ["both", "out", "sales"], False),
        ([(Forwarder, "bell")], ["both", "out", "sales"], True),
        ([(Forwarder, "post")], ["both", "sales"], True),
        ([(Transport, "pigeon")], ["both", "out"], False),
        ([(Forwarder, "parrot")], ["out", "sales"], False),
        ([(Transport, "parrot")], ["out", "sales"], False),
    ],
)
def test_what_runs_does_not_stand_in_where_plugins_are_gone(
    load: Callable[..., config.Config],
    registry: loading.Registry,
    tmp_path: Path,
    gone: list[tuple[type[Plugin], str]],
    accounts: list[str],
    *,
    faulty: bool,
) -> None:
    both = SALES.replace("pigeon", "parrot") + "import: {}\nsend: {from: {address: a@b.example}}\n"
    running = load({"accounts/both.yaml": both})
    assert running.faults == ()
    for file in ("operators/acme.yaml", "accounts/sales.yaml", "accounts/out.yaml", "accounts/both.yaml"):
        (tmp_path / file).write_text("kind: [\n")
    kinds: list[tuple[type[Plugin], str]] = [*KINDS, (Store, "paper")]
    left = registry.part([one for one in kinds if one not in gone])
    loaded = config.running(tmp_path, running, left)
    assert (sorted(loaded.accounts), loaded.operators["acme"].faulty) == (accounts, faulty)


def test_a_target_does_not_stand_in_with_options_of_before(load: Callable[..., config.Config], tmp_path: Path) -> None:
    load()
    running = _reloaded(tmp_path, str)
    (tmp_path / "operators" / "acme.yaml").write_text("kind: [\n")
    assert not _reloaded(tmp_path, str, running).operators["acme"].faulty
    assert _reloaded(tmp_path, lambda code: code + "\n", running).operators["acme"].faulty


def test_a_single_file_that_offers_a_forwarder_in_use_may_not_go(load: Callable[..., config.Config], tmp_path: Path) -> None:
    load({"accounts/sales.yaml": None, "operators/acme.yaml": "targets: {hook: {kind: bell, tune: x}}\n"})
    code = (
        "from gatewayd import Forwarder, hookimpl\n\nclass Bell(Forwarder):\n    kind = 'bell'\n    class Options(Forwarder.Options):\n"
        "        tune: str\n    def open(self): ...\n\n@hookimpl\ndef gatewayd_forwarders():\n    return [Bell]\n"
    )
    running = _reloaded(tmp_path, lambda fakes: fakes.replace("[Post, Bell, ", "[Post, "))
    assert running.operators["acme"].faulty
    (tmp_path / "plugins" / "ring.py").write_text(code)
    running = config.running(tmp_path)
    assert running.faults == ()
    (tmp_path / "plugins" / "ring.py").unlink()
    gone = config.running(tmp_path, running)
    assert _lines(gone) == [f"plugins/ring.py: {loading.GONE}"]
    assert not gone.operators["acme"].faulty


def test_a_signing_key_is_read_when_it_is_used_and_waits_for_a_restart(
    load: Callable[..., config.Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RING", "x")
    monkeypatch.setenv("KEY", "x")
    old = load()
    new = load({"gatewayd.yaml": MAIN + "signing_key: !env SIGN\n"})
    assert (old.signing_key, new.signing_key) == (None, Secret("env", "SIGN"))
    assert config.changes(old, new) == config.Changes(restart=("signing_key",))
    assert config.kept(old, new).signing_key is None
    # What seals is read for each token.
    sealed = load({"gatewayd.yaml": MAIN + "sealing_key: !env SEAL\n"})
    assert config.changes(old, sealed) == config.Changes()
    assert config.kept(old, sealed).sealing_key == Secret("env", "SEAL")
    monkeypatch.delenv("SIGN", raising=False)
    missing = "gatewayd.yaml:3:14: the secret !env SIGN is missing or empty. Set the environment variable SIGN."
    assert [str(fault) for fault in config.outside_faults(new)] == [missing]
    monkeypatch.setenv("SIGN", "hunter2" * 4)
    (fault,) = config.outside_faults(new)
    assert (fault.file, fault.line, fault.column) == ("gatewayd.yaml", 3, 14)
    assert "32" in fault.what
    assert "hunter2" not in fault.what
    monkeypatch.setenv("SIGN", "hunter2" * 5)
    assert config.outside_faults(new) == ()
    assert not new.state.exists()
