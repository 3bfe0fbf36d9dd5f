"""Names of a package whose modules are imported late."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import gatewayd

if TYPE_CHECKING:
    from pathlib import Path

_PACKAGE = """
from gatewayd.runtime import lazy_imports
__getattr__, __dir__, __all__ = lazy_imports.attributes(__name__, __file__)
"""
_STUB = """
from late.good import one as one
from late.good import two as two
from late.bad import three as three
"""


def _run(folder: Path, code: str) -> str:
    package = folder / "late"
    package.mkdir()
    (package / "__init__.py").write_text(_PACKAGE)
    (package / "__init__.pyi").write_text(_STUB)
    (package / "good.py").write_text("one, two = 1, 2\n")
    (package / "bad.py").write_text("three = ''.nonsense\n")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=folder)
    return done.stdout + done.stderr


def test_a_name_imports_its_module_when_it_is_asked_for(tmp_path: Path) -> None:
    code = "import sys, late; print('late.good' in sys.modules, late.two, 'late.good' in sys.modules, late.good.one)"
    assert _run(tmp_path, code) == "False 2 True 1\n"


def test_what_is_wrong_in_a_module_is_told(tmp_path: Path) -> None:
    said = _run(tmp_path, "from late import three")
    assert "ImportError: late.bad can't be imported: 'str' object has no attribute 'nonsense'" in said


def test_a_name_that_nobody_has_is_none_of_ours() -> None:
    with pytest.raises(AttributeError, match="module 'gatewayd' has no attribute 'nonsense'"):
        _ = gatewayd.nonsense  # type: ignore[attr-defined]
    assert gatewayd.errors.GatewaydError is gatewayd.GatewaydError


@pytest.mark.parametrize(("old", "new"), [("Deferred", "Retry"), ("Place", "Folders")])
def test_a_name_of_the_release_before_warns_where_it_is_used(old: str, new: str) -> None:
    with pytest.warns(DeprecationWarning, match=rf"gatewayd\.{old} is called {new} now") as caught:
        assert getattr(gatewayd, old) is getattr(gatewayd, new)
    assert caught[0].filename == __file__
