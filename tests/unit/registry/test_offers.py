"""What can't work is refused when it is loaded, in words that say what was expected; what pluggy has for two versions is taken."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from gatewayd import PluginError
from gatewayd.registry.offers import offered

_HEAD = """
from pathlib import Path
from gatewayd import ConfigPath, Courier, Directory, Duration, Forwarder, Matcher, Transport, hookimpl
from pydantic import Field, model_validator

class Mine(Matcher):
    kind = "mine"

    def match(self, mails, directory):
        return []
"""
_TAIL = """
@hookimpl
def gatewayd_matchers():
    return [Mine]
"""


def look(text: str) -> Any:
    module = ModuleType("gatewayd_plugin_mine")
    exec(compile(text, "mine.py", "exec", dont_inherit=True), vars(module))
    return offered("mine", module)


def matcher(body: str) -> str:
    return f"{_HEAD}\nclass Mine(Matcher):\n    kind = 'mine'\n    {body.replace(chr(10), chr(10) + '    ')}\n{_TAIL}"


_MATCH = "def match(self, mails, directory):\n    return []\n"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("async def match(self, mails, directory):\n    return []", "Mine.match is an `async def`, expected a plain method"),
        ("async def match(self, mails, directory):\n    yield 1", "Mine.match is an `async def`, expected a plain method"),
        ("def match(self, mails):\n    return []", "expected `def match(self, mails, directory)`"),
        ("def match(self):\n    return []", "expected `def match(self, mails, directory)`"),
        (
            "def match(self, mails, directory, more):\n    return []",
            "Mine.match can't be called: missing a required argument: 'more'",
        ),
        ("def match(self, *, mails, directory):\n    return []", "expected `def match(self, mails, directory)`"),
        ("@staticmethod\ndef match(self, mails, directory):\n    return []", "expected `def match(self, mails, directory)`"),
        ("match = 7", "Mine.match is a int, expected `def match(self, mails, directory)`"),
        (_MATCH + "def __init__(self, options):\n    pass", "expected `def __init__(self, options, *, operator)`"),
        (_MATCH + "def __init__(self, options, operator, place):\n    pass", "missing a required argument: 'place'"),
        (
            _MATCH + "class Options(Matcher.Options):\n    digits: int = 'x'",
            "Mine.Options.digits: its default 'x' is refused: Input should be",
        ),
        (_MATCH + "class Options(Matcher.Options):\n    digits: int = None", "Mine.Options.digits: its default None is refused"),
        (
            _MATCH + "class Options(Matcher.Options):\n    digits: int = Field(3, ge=4)",
            "its default 3 is refused: Input should be greater",
        ),
        (
            _MATCH + "class Options(Matcher.Options):\n    wait: Duration = '10s'",
            "its default '10s' is not of the field's type, expected 10.0",
        ),
        (_MATCH + "class Options(Matcher.Options):\n    wait: Duration = -1.0", "its default -1.0 is refused"),
        (
            _MATCH + "class Options(Matcher.Options):\n    where: ConfigPath = 'acme'",
            "its default 'acme' is not of the field's type",
        ),
        (_MATCH + "class Options(Matcher.Options):\n    words: tuple[str, ...] = ('a', 7)", "its default ('a', 7) is refused"),
        (
            _MATCH + "class Options(Matcher.Options):\n    words: tuple[str, ...] = Field(default_factory=lambda: (1,))",
            "is refused",
        ),
        (
            _MATCH
            + "class Options(Matcher.Options):\n    model_config = {'arbitrary_types_allowed': True}\n    x: Path.__class__ | None = None\n    y: object.__new__.__class__ = print",
            "Mine.Options have no JSON Schema",
        ),
        (
            _MATCH + "class Options(Matcher.Options):\n    x: 'Missing' = 1",
            "Mine.Options can't be used: name 'Missing' is not defined",
        ),
        (_MATCH + "Options = 7", "Mine.Options is not derived from Matcher.Options"),
    ],
)
def test_a_class_that_can_not_work_is_refused(body: str, error: str) -> None:
    with pytest.raises(PluginError) as caught:
        look(matcher(body))
    assert error in caught.value.message


@pytest.mark.parametrize(
    "body",
    [
        "def match(self, mails, directory, more=1, **others):\n    return []",
        "def match(self, *mails):\n    return []",
        "def match(self, batch, known):\n    yield from ()",
        "@staticmethod\ndef match(mails, directory):\n    return []",
        "@classmethod\ndef match(cls, mails, directory):\n    return []",
        _MATCH + "def __init__(self, options, **more):\n    pass",
        _MATCH
        + "class Options(Matcher.Options):\n    wait: Duration = 10\n    where: ConfigPath = Path('a')\n    words: tuple[str, ...] = ()\n    must: int",
        _MATCH
        + "class Options(Matcher.Options):\n    what: str\n    how: int = 1\n    @model_validator(mode='after')\n    def _both(self):\n        return self if self.what else None",
    ],
)
def test_a_class_that_can_be_called_is_taken(body: str) -> None:
    assert look(matcher(body)).words == (("matchers", "mine"),)


_FORWARDER = "class F(Forwarder):\n    kind = 'f'\n    {}\n    def open(self):\n        pass\n@hookimpl\ndef gatewayd_forwarders():\n    return [F]\n"
_TRANSPORT = "class T(Transport):\n    kind = 't'\n    {}\n    def open(self):\n        pass\n@hookimpl\ndef gatewayd_transports():\n    return [T]\n"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            _FORWARDER.format("modes = ('inline',)"),
            "F.modes is \\('inline',\\), expected a tuple of attached, inline, as is, with 'attached'",
        ),
        (
            _FORWARDER.format("modes = ('attached', 'sideways')"),
            "F.modes is \\('attached', 'sideways'\\), expected a tuple of attached, inline",
        ),
        (_FORWARDER.format("modes = 'attached'"), "F.modes is 'attached', expected a tuple of attached, inline"),
        (_FORWARDER.format("modes = (['attached'],)"), "F.modes is \\(\\['attached'\\],\\), expected a tuple of attached, inline"),
        (_FORWARDER.format("sends_mail = 'yes'"), "F.sends_mail is 'yes', expected True or False"),
        (_TRANSPORT.format("max_sessions = 0"), "T.max_sessions is 0, expected a whole number from 1, or None"),
        (_TRANSPORT.format("max_sessions = True"), "T.max_sessions is True"),
        (_TRANSPORT.format("tells_arrival = None"), "T.tells_arrival is None, expected True or False"),
        (_TRANSPORT.format("keys_span_folders = 1"), "T.keys_span_folders is 1"),
    ],
)
def test_what_a_class_says_of_itself_is_checked(text: str, error: str) -> None:
    with pytest.raises(PluginError, match=error):
        look(_HEAD + text)


def test_and_taken_where_it_is_sound() -> None:
    for said in ("modes = ('attached',)", "modes = ('as is', 'attached')", "sends_mail = True"):
        look(_HEAD + _FORWARDER.format(said))
    for said in ("max_sessions = None", "max_sessions = 1", "keys_span_folders = True"):
        look(_HEAD + _TRANSPORT.format(said))


@pytest.mark.parametrize(
    ("hook", "error"),
    [
        (
            "@hookimpl\nasync def gatewayd_matchers():\n    return [Mine]",
            "gatewayd_matchers is an `async def`, expected a plain function",
        ),
        ("@hookimpl\nasync def gatewayd_mail_filed(event):\n    pass", "gatewayd_mail_filed is an `async def`"),
        (
            "@hookimpl\ndef gatewayd_matchers(config):\n    return [Mine]",
            "gatewayd_matchers takes config, expected `def gatewayd_matchers()`",
        ),
        ("@hookimpl\ndef gatewayd_matchers(*, config):\n    return [Mine]", "gatewayd_matchers takes config"),
        ("@hookimpl\ndef gatewayd_mail_filed(mail):\n    pass", "takes mail, expected `def gatewayd_mail_filed(event)`"),
        (
            "@hookimpl\ndef gatewayd_mail_filed(event=None):\n    pass",
            "takes event=None, expected `def gatewayd_mail_filed(event)`",
        ),
        ("@hookimpl\ndef gatewayd_mail_filed(*, event):\n    pass", "takes event, expected `def gatewayd_mail_filed(event)`"),
        ("@hookimpl\ndef gatewayd_mail_filed(event, more):\n    pass", "takes more, expected `def gatewayd_mail_filed(event)`"),
        ("@hookimpl(wrapper=True)\ndef gatewayd_matchers():\n    return (yield)", "gatewayd_matchers wraps the hook"),
        (
            "@hookimpl(specname='gatewayd_matchrs')\ndef mine():\n    return [Mine]",
            "no hook gatewayd_matchrs: did you mean gatewayd_matchers?",
        ),
        ("@hookimpl\ndef gatewayd_matchers():\n    return [Mine, Mine]", "it offers the matcher 'mine' twice"),
        ("@hookimpl(optionalhook=True)\ndef gatewayd_of_tomorrow():\n    return [Mine]", "it offers nothing"),
    ],
)
def test_a_hook_that_would_be_called_in_vain_is_refused(hook: str, error: str) -> None:
    with pytest.raises(PluginError) as caught:
        look(f"{_HEAD}\n{hook}\n")
    assert error in caught.value.message


@pytest.mark.parametrize(
    "hook",
    [
        "@hookimpl\ndef gatewayd_matchers():\n    return (Mine,)",
        "@hookimpl(tryfirst=True)\ndef gatewayd_matchers(*args, **more):\n    return [Mine]",
        "@hookimpl(specname='gatewayd_matchers')\ndef mine():\n    return [Mine]",
        "@hookimpl\ndef gatewayd_matchers(debug=False):\n    return [Mine]",
        f"{_TAIL}\n@hookimpl(optionalhook=True)\ndef gatewayd_of_tomorrow(config):\n    return [Mine]",
    ],
)
def test_a_plugin_for_two_versions_is_taken(hook: str) -> None:
    assert look(f"{_HEAD}\n{hook}\n").words == (("matchers", "mine"),)


def test_observers_hear_whatever_their_functions_are_called() -> None:
    heard = f"{_HEAD}\nHEARD = []\n@hookimpl(specname='gatewayd_mail_filed')\ndef mine(event):\n    HEARD.append(event)\n@hookimpl\ndef gatewayd_config_loaded():\n    HEARD.append('loaded')\n"
    found = look(heard)
    assert found.words == (("observers", "mail_filed"), ("observers", "config_loaded"))
    for observer in found.observers:
        observer.call("an event")
    namespace = found.observers[0].call.args[0].get_hookimpls()[0].function.__globals__
    assert namespace["HEARD"] == ["an event", "loaded"]
