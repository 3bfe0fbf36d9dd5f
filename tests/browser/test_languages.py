"""Each language has all texts of the pages, with the same fields in them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.browser.site import Site
from tests.catalogues import PACKAGE, catalogue, missing

if TYPE_CHECKING:
    from pathlib import Path

CATALOGUES = sorted((PACKAGE / "locales").glob("*.po"))
_FIELD = re.compile(r"%\(\w+\)s")


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.stem)
def test_a_language_has_all_texts(path: Path) -> None:
    assert missing(path) == [], "python -m tests.catalogues adds them, empty; write them in that language"


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.stem)
def test_a_text_has_the_same_fields_in_each_language(path: Path) -> None:
    for one in catalogue(path):
        if not one.id:
            continue
        wanted = {field for text in ([one.id] if isinstance(one.id, str) else one.id) for field in _FIELD.findall(text)}
        for text in [one.string] if isinstance(one.string, str) else one.string or ():
            assert set(_FIELD.findall(text)) <= wanted, one.id
            assert "%" not in _FIELD.sub("", text).replace("%%", ""), one.id


def test_a_browser_gets_the_first_language_that_there_is(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.operator("acme")
    with site.web():
        for wanted, language in (
            ("de-AT,de;q=0.9,en;q=0.8", "de"),
            ("fr,de;q=0.5", "de"),
            ("fr", "en"),
            ("", "en"),
            ("\xe4" * 300, "en"),
        ):
            answer = site.ask("/log-in", headers={"Accept-Language": wanted})
            assert f'<html lang="{language}">' in answer.text
            assert ("Anmelden" in answer.text) == (language == "de")
