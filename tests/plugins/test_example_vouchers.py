"""The example distribution and docs/writing-a-matcher.md, as a third party would use them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "gatewayd-vouchers"
PAGE = ROOT / "docs" / "writing-a-matcher.md"

LINKS = """
from gatewayd import Matcher, Operator
from gatewayd.registry.loading import load
from gatewayd.testing import FakeDirectory, make_mail, make_record

registry = load()
(plugin,) = [plugin for plugin in registry.plugins if plugin.name == "vouchers"]
print(plugin.source, plugin.offers, plugin.error)
vouchers = registry.get(Matcher, "vouchers")
matcher = vouchers(vouchers.Options(), operator=Operator(name="acme"))
codes = {"R1": "12345678", "R2": "87654321", "R3": "87654321"}
records = [make_record("reservation", record_id, code=code) for record_id, code in codes.items()]
mails = [make_mail(subject=subject, mail_id=n) for n, subject in enumerate(["V12345678", "V87654321", "V123", "12345678"])]
for finding in matcher.match(mails, FakeDirectory(records)):
    print(type(finding).__name__, finding.mail_id, finding.because)
"""


def run(*command: str | Path, folder: Path, path: Path | None = None) -> str:
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PYTHONPATH": str(path) if path else "", "PATH": programs}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def install(source: Path, target: Path) -> None:
    """Install a distribution as pip does it for anybody, with what is here."""
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install")
    run(*pip, "--no-index", "--no-deps", "--no-build-isolation", "--target", target, source, folder=source)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("example")
    shutil.copytree(EXAMPLE, work / "source")
    install(work / "source", work / "site")
    return work / "site"


def test_an_installed_third_partys_matcher_is_offered_and_links(installed: Path, tmp_path: Path) -> None:
    assert run(sys.executable, "-c", LINKS, folder=tmp_path, path=installed).splitlines() == [
        "gatewayd-vouchers 1.0.0 (('matchers', 'vouchers'),) ",
        "Link 0 voucher 12345678 in the subject",
        "Rivals 1 voucher 87654321 in the subject",
    ]


def test_the_examples_own_tests_pass(installed: Path, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE / "tests", tmp_path / "tests")
    assert "14 passed" in run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", folder=tmp_path, path=installed)


def test_the_example_is_the_page_and_the_page_is_the_example() -> None:
    def body(text: str) -> str:
        return text[text.index("        pattern =") : text.index("@hookimpl")]

    assert body((EXAMPLE / "gatewayd_vouchers.py").read_text()) == body(files()["plugins/vouchers.py"])


# --- the page ---------------------------------------------------------------------------------------------------------


def blocks() -> list[tuple[str, str, str]]:
    """The page's fenced blocks as (language, file name, text)."""
    return re.findall(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def files() -> dict[str, str]:
    return {name: text for _, name, text in blocks() if name}


def commands() -> list[str]:
    return [line for language, _, text in blocks() if language == "sh" for line in text.splitlines()]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    for name, text in files().items():
        path = tmp_path / "acme-config" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "acme-config"


def test_every_block_of_the_page_is_a_file_or_a_command() -> None:
    assert [language for language, name, _ in blocks() if not name and language != "sh"] == []
    assert PAGE.read_text().count("```") == 2 * len(blocks())
    assert len(commands()) == 4


@pytest.mark.parametrize("command", commands())
def test_every_command_of_the_page_works(written: Path, command: str) -> None:
    said = run("sh", "-c", command, folder=written)
    if "plugins list" in command:
        assert re.search(r"vouchers .* matchers: vouchers +ok", said)
    if "explain" in command:
        assert "R1" in said
        assert "voucher 12345678 in the subject" in said
    if "pytest" in command:
        assert "12 passed" in said


def test_the_pages_distribution_can_be_installed(written: Path, tmp_path: Path) -> None:
    install(written, tmp_path / "site")
    said = run(sys.executable, "-c", LINKS, folder=tmp_path, path=tmp_path / "site")
    assert said.startswith("gatewayd-vouchers 1.0.0 (('matchers', 'vouchers'),) \nLink 0 voucher 12345678")
