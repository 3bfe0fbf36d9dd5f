"""Single files: what was read is what runs, here, in other processes, and when it is loaded again."""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
import weakref
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest

from gatewayd.api.roles import Matcher, Transport
from gatewayd.registry import discovery, loading

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd.registry.discovery import PluginFile

_CODE = """
from gatewayd import Matcher, hookimpl

class Vouchers(Matcher):
    kind = "vouchers"

    class Options(Matcher.Options):
        digits: int = 8

    def match(self, mails, directory):
        return []

@hookimpl
def gatewayd_matchers():
    return [Vouchers]
"""
_OTHER = _CODE.replace("vouchers", "others")


def _digits(registry: loading.Registry) -> object:
    return dict(registry.get(Matcher, "vouchers").Options())["digits"]


def _modules(name: str) -> list[str]:
    return [module for module in sys.modules if module.startswith(f"gatewayd_plugin_{name}_")]


def _loaded(registry: loading.Registry, name: str) -> loading.LoadedPlugin:
    (found,) = [plugin for plugin in registry.plugins if plugin.name == name]
    return found


def test_a_file_that_changed_runs_anew_however_quick_the_edit(tmp_path: Path) -> None:
    path = tmp_path / "quick.py"
    for digits in range(1, 9):
        # The same size, within the same tick of the clock: bytecode that is kept by both would be that of the file before.
        path.write_text(_CODE.replace("8", str(digits)))
        assert _digits(loading.load(tmp_path)) == digits
    assert [entry.name for entry in tmp_path.iterdir()] == ["quick.py"]


def test_a_file_that_did_not_change_keeps_its_classes(tmp_path: Path) -> None:
    path = tmp_path / "same.py"
    path.write_text(_CODE)
    first = loading.load(tmp_path)
    path.write_text(_CODE)
    second = loading.load(tmp_path)
    assert first.get(Matcher, "vouchers") is second.get(Matcher, "vouchers")
    assert first.get(Matcher, "vouchers").Options() == second.get(Matcher, "vouchers").Options()
    path.write_text(_CODE + "\n")
    third = loading.load(tmp_path)
    assert first.get(Matcher, "vouchers").Options() != third.get(Matcher, "vouchers").Options()


def test_the_same_code_at_another_place_is_another_plugin(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "placed.py").write_text("from pathlib import Path\nHERE = Path(__file__)\n" + _CODE)
        offered = loading.load(tmp_path / folder).get(Matcher, "vouchers")
        here = sys.modules[offered.__module__].HERE
        assert here == tmp_path / folder / "placed.py"


def test_values_of_the_code_before_still_pickle_and_memory_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "often.py"
    refs = []
    options = None
    for number in range(12):
        path.write_text(_CODE.replace("8", str(number)))
        offered = loading.load(tmp_path).get(Matcher, "vouchers")
        if options is not None:
            assert pickle.loads(pickle.dumps(options)) == options
        options = offered.Options()
        refs.append(weakref.ref(offered))
        assert pickle.loads(pickle.dumps(options)) == options
        del offered
    del options
    assert len(_modules("often")) == 2
    gc.collect()
    assert [ref() is None for ref in refs] == [True] * 10 + [False] * 2


def test_code_that_comes_back_is_the_newest_again(tmp_path: Path) -> None:
    path = tmp_path / "back.py"
    for digits in (1, 2, 1, 3):
        path.write_text(_CODE.replace("8", str(digits)))
        last = loading.load(tmp_path)
        assert _digits(last) == digits
    kept = {sys.modules[name].Vouchers.Options().digits for name in _modules("back")}
    assert kept == {1, 3}


def test_a_file_that_fails_leaves_the_code_before_importable(tmp_path: Path) -> None:
    path = tmp_path / "fails.py"
    path.write_text(_CODE)
    options = loading.load(tmp_path).get(Matcher, "vouchers").Options()
    path.write_text(_CODE + "1/0\n")
    assert "ZeroDivisionError" in _loaded(loading.load(tmp_path), "fails").error
    assert len(_modules("fails")) == 1
    assert pickle.loads(pickle.dumps(options)) == options


@pytest.mark.parametrize("name", ["my-matcher", "dotted.name", "größe"])
def test_options_pickle_whatever_the_file_is_called(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").write_text(_CODE)
    options = loading.load(tmp_path).get(Matcher, "vouchers").Options()
    assert pickle.loads(pickle.dumps(options)) == options


def test_another_process_runs_just_the_code_that_was_read_here(tmp_path: Path) -> None:
    path = tmp_path / "sent.py"
    path.write_text(_CODE.replace("8", "5"))
    registry = loading.load(tmp_path)
    options = pickle.dumps(registry.get(Matcher, "vouchers").Options())
    path.write_text("1/0")
    code = """
import pickle, sys
from gatewayd.registry import loading
from gatewayd.api.roles import Matcher
files, options = pickle.load(sys.stdin.buffer)
registry = loading.load(files=files)
offered = registry.get(Matcher, "vouchers")
options = pickle.loads(options)
assert type(options) is offered.Options
print(options.digits, registry.fingerprint(Matcher, "vouchers"))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps((registry.files, options)), capture_output=True, check=True
    )
    assert done.stdout.decode().split() == ["5", registry.fingerprint(Matcher, "vouchers")]


def _files(folder: Path, **codes: str) -> tuple[PluginFile, ...]:
    return tuple(discovery.PluginFile(path=folder / f"{name}.py", code=code.encode()) for name, code in codes.items())


def test_what_was_read_before_stands_in_for_a_file_that_fails(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("1/0")
    registry = loading.load(tmp_path, files=_files(tmp_path, mine=_CODE))
    found = _loaded(registry, "mine")
    assert (found.error, found.fault) == ("", "ZeroDivisionError: division by zero (mine.py:1)")
    assert found.offers == (("matchers", "vouchers"),)
    assert [file.code for file in registry.files] == [_CODE.encode()]


def test_a_sound_file_needs_nobody_to_stand_in(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(_CODE)
    registry = loading.load(tmp_path, files=_files(tmp_path, mine=_OTHER))
    assert _loaded(registry, "mine").fault == ""
    assert "others" not in registry.kinds(Matcher)


def test_a_stand_in_takes_no_kind_from_a_file_that_is_sound(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1/0")
    (tmp_path / "z.py").write_text(_CODE)
    registry = loading.load(tmp_path, files=_files(tmp_path, a=_CODE, gone=_CODE, fine=_OTHER))
    assert _loaded(registry, "a").error.startswith("ZeroDivisionError")
    assert _loaded(registry, "z").error == ""
    assert not [plugin for plugin in registry.plugins if plugin.name == "gone"]
    assert _loaded(registry, "fine").fault == loading.GONE
    assert sorted(file.path.name for file in registry.files) == ["fine.py", "z.py"]


def test_what_an_out_of_use_plugin_would_hear_it_does_not(tmp_path: Path) -> None:
    heard = "\n@hookimpl\ndef gatewayd_mail_filed(event):\n    pass\n"
    (tmp_path / "a.py").write_text(_CODE + heard)
    (tmp_path / "b.py").write_text(_CODE + heard)
    registry = loading.load(tmp_path)
    assert "offers already" in _loaded(registry, "b").error
    assert [observer.plugin for observer in registry.observers("gatewayd_mail_filed")] == ["a"]


def test_a_file_that_can_not_be_read_is_out_of_use(tmp_path: Path) -> None:
    (tmp_path / "folder.py").mkdir()
    assert _loaded(loading.load(tmp_path), "folder").error.startswith("IsADirectoryError")


def test_the_fingerprint_of_an_installed_plugin_is_that_of_its_package() -> None:
    registry = loading.load()
    fingerprints = {kind: registry.fingerprint(Transport, kind) for kind in registry.kinds(Transport)}
    assert len(set(fingerprints.values())) == len(fingerprints)
    code = "from gatewayd.registry import loading; from gatewayd.api.roles import Transport; print(loading.load().fingerprint(Transport, 'imap'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == fingerprints["imap"]


def test_descriptions_are_those_of_the_code_that_runs(tmp_path: Path) -> None:
    path = tmp_path / "told.py"
    told = _CODE.replace("int = 8", 'int = 8\n        "How many digits."')
    path.write_text("\n\n" + _CODE.replace("int = 8", 'int = 8\n        "Lies."'))
    registry = loading.load(files=_files(tmp_path, told=told))
    assert registry.get(Matcher, "vouchers").Options.model_fields["digits"].description == "How many digits."


def test_a_file_in_another_encoding_is_read_as_python_reads_it(tmp_path: Path) -> None:
    (tmp_path / "latin.py").write_bytes(b"# -*- coding: latin-1 -*-\nWORD = 'gr\xfc\xdfe'\r\n" + _CODE.encode())
    offered = loading.load(tmp_path).get(Matcher, "vouchers")
    assert sys.modules[offered.__module__].WORD == "grüße"
    (tmp_path / "broken.py").write_bytes(b"WORD = '\xfc'\n")
    assert "(broken.py:" in _loaded(loading.load(tmp_path), "broken").error


_ENTRY = "[gatewayd]\nthird = {value}\n"


def _distribution(folder: Path, value: str, **files: str) -> None:
    """A distribution as an installer leaves it."""
    (folder / "third-1.0.dist-info").mkdir(parents=True)
    (folder / "third-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: third\nVersion: 1.0\n")
    (folder / "third-1.0.dist-info" / "entry_points.txt").write_text(_ENTRY.format(value=value))
    for name, text in files.items():
        path = folder / f"{name.replace('__dot__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _fingerprint(folder: Path) -> str:
    code = "from gatewayd.registry import loading; from gatewayd.api.roles import Matcher; print(loading.load().fingerprint(Matcher, 'vouchers'))"
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(folder)}, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("value", "file", "other"),
    [
        ("third_package", "third_package/helper.py", "elsewhere.py"),
        ("third_package.matcher", "third_package/helper.py", "elsewhere.py"),
        ("third_module", "third_module.py", "elsewhere.py"),
        ("third_space.inner", "third_space/inner/helper.py", "third_space/elsewhere.py"),
    ],
)
def test_the_fingerprint_of_a_third_partys_plugin_hangs_on_its_own_code_alone(
    tmp_path: Path, value: str, file: str, other: str
) -> None:
    _distribution(
        tmp_path,
        value,
        third_package__dot____init__=_CODE,
        third_package__dot__matcher=_CODE,
        third_package__dot__helper="",
        third_module=_CODE,
        third_space__dot__inner__dot____init__=_CODE,
        third_space__dot__inner__dot__helper="",
    )
    before = _fingerprint(tmp_path)
    assert len(before) == 64
    (tmp_path / other).write_text("x = 1\n")
    assert _fingerprint(tmp_path) == before
    with (tmp_path / file).open("a") as opened:
        opened.write("x = 1\n")
    assert _fingerprint(tmp_path) != before


def test_a_distribution_that_was_removed_by_halves_stops_no_other(tmp_path: Path) -> None:
    _distribution(tmp_path, "json")
    (tmp_path / "third-1.0.dist-info" / "METADATA").unlink()
    code = (
        "from gatewayd.registry import loading; print(*(f'{one.name}={one.source}' for one in loading.load().plugins), sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert {"third=None None", f"imap=gatewayd {version('gatewayd')}"} <= set(done.stdout.splitlines())


_SHOW = """
import sys
from pathlib import Path
from gatewayd.registry import loading
found = loading.load(Path(sys.argv[1]), without=sys.argv[2:])
print(*(f"{one.path.name if one.path else one.source}: {one.error or one.offers}" for one in found.plugins if one.name == "third"), sep="\\n")
"""


def test_a_file_called_like_a_third_partys_installed_plugin_is_out_of_use_and_that_one_is_not(tmp_path: Path) -> None:
    _distribution(tmp_path / "site", "third_module", third_module=_CODE)
    (tmp_path / "plugins").mkdir()
    # It offers nothing that the other one does: the name alone stands in its way.
    (tmp_path / "plugins/third.py").write_text(_OTHER)

    def shown(*without: str) -> list[str]:
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), *sys.path])}
        command = [sys.executable, "-c", _SHOW, str(tmp_path / "plugins"), *without]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.splitlines()

    installed = "third 1.0: (('matchers', 'vouchers'),)"
    advice = "give the file another name, or leave one of them out (plugins.without: [third.py])"
    assert shown() == [installed, f"third.py: there is a plugin 'third' already, of third 1.0: {advice}"]
    assert shown("third.py") == [installed, f"third.py: {loading.LEFT_OUT}"], "as it was advised"
