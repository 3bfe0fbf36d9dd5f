"""Loads a config folder whose files are sound, but for those that a test gives."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatewayd import Store, config
from gatewayd.registry import loading
from tests.unit.config.accepted_folder import FAKES, FILES, write
from tests.unit.config.sound_folder import ACME, KINDS, MAIN, NORD, OUT, SALES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


_PLUGINS = Path(__file__).parent / "config_plugins"


@pytest.fixture(scope="module")
def registry() -> loading.Registry:
    return loading.load(_PLUGINS).part([*KINDS, (Store, "paper")])


@pytest.fixture
def load(tmp_path: Path, registry: loading.Registry, monkeypatch: pytest.MonkeyPatch) -> Callable[..., config.Config]:
    """Load a folder of these files, which stand beside or in the place of sound ones; None is no file."""
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)

    def loaded(files: Mapping[str, str | None] = {}, load: Callable[..., config.Config] = config.load) -> config.Config:
        sound = {
            "gatewayd.yaml": MAIN,
            "operators/acme.yaml": ACME,
            "operators/nord.yaml": NORD,
            "accounts/sales.yaml": SALES,
            "accounts/out.yaml": OUT,
        }
        for name, text in {**sound, **files}.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.unlink(missing_ok=True) if text is None else path.write_text(text, encoding="utf-8")
        return load(tmp_path, registry=registry)

    return loaded


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sound config folder, with a state folder of its own."""
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    write(tmp_path / "etc", FILES)
    (tmp_path / "etc" / "plugins").mkdir()
    shutil.copy(FAKES, tmp_path / "etc" / "plugins")
    return tmp_path / "etc"


@pytest.fixture
def accepted(folder: Path) -> config.Config:
    """The folder's config, taken over."""
    running = config.running(folder)
    assert (running.faults, running.standing_in) == ((), ())
    config.accept(running)
    return running
