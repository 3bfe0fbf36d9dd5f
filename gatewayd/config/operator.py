"""Read one operator's file: its directory, matchers, targets and forward rules."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from gatewayd.api.forwarder import Forwarder
from gatewayd.api.roles import Directory, Matcher, Operator, Plugin
from gatewayd.config.faults import dotted, hint
from gatewayd.config.models.operator import MailTarget, OperatorFile
from gatewayd.config.rules import Rule
from gatewayd.config.values import OperatorConfig, TargetConfig
from gatewayd.errors import enumerated

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gatewayd.config.checker import Checker
    from gatewayd.config.yaml_documents import YamlPath
    from gatewayd.registry.loading import Registry

__all__ = ["operator", "words"]


def operator(checker: Checker, registry: Registry) -> OperatorConfig:
    """Return the operator of one file, ``faulty`` if it has faults; these are in ``checker``."""
    name = PurePath(checker.document.file).stem
    found = checker.model(OperatorFile, checker.document.data, ())
    directory = _directory(checker, registry)
    subject = Operator(name=name, title=found.title, brands=found.brands) if found else Operator(name=name)
    matchers = _matchers(checker, registry, subject)
    targets = _targets(checker, registry)
    _unknown_targets(checker)
    if found is None or checker.faults:
        # Its users stay known where they can be: their personal mail is theirs, whatever else is wrong.
        return OperatorConfig(name=name, users=found.users if found else {}, receive=_receives(checker), faulty=True)
    return OperatorConfig(
        name=name,
        title=found.title,
        receive=found.receive,
        brands=found.brands,
        directory_kind=directory[0] if directory else None,
        directory_options=directory[1] if directory else None,
        matchers=matchers,
        targets=targets,
        rules=tuple(
            Rule(number=index + 1, where=checker.document.where(("forward", index)), when=rule.when, targets=rule.to)
            for index, rule in enumerate(found.forward)
        ),
        queues=found.queues,
        users=found.users,
    )


def _receives(checker: Checker) -> bool:
    """Whether accounts of all operators serve one whose file is faulty: not if its words are not known, so that it sees nothing."""
    return checker.document.data.get("receive", bool(checker.document.data)) is True


def _directory(checker: Checker, registry: Registry) -> tuple[str, Plugin.Options] | None:
    data = checker.document.data
    mapping = data.get("directory")
    if isinstance(mapping, dict):
        return checker.plugin(registry, Directory, mapping, ("directory",))
    if data.get("matchers") and "directory" not in data:
        checker.fault(("matchers",), "missing key 'directory', expected it where there are matchers", key=True)
    return None


def _matchers(checker: Checker, registry: Registry, subject: Operator) -> tuple[tuple[str, Plugin.Options], ...]:
    items = checker.document.data.get("matchers")
    found: dict[str, Plugin.Options] = {}
    for index, item in enumerate(items if isinstance(items, list) else []):
        one = _matcher(checker, registry, item, index)
        if one is None:
            continue
        matcher, options = one
        if matcher.kind in found:
            checker.fault(("matchers", index), f"matchers[{index}]: {matcher.kind!r} is here twice, expected it once")
            continue
        found[matcher.kind] = options
        checker.tried(("matchers", index), lambda: matcher(options, operator=subject))  # noqa: B023  called at once
    return tuple(found.items())


def _matcher(checker: Checker, registry: Registry, item: object, index: int) -> tuple[type[Matcher], Plugin.Options] | None:
    place: YamlPath = ("matchers", index)
    options: object = {}
    word = item
    if isinstance(item, dict) and len(item) == 1:
        word, options = next(iter(item.items()))
        place = (*place, str(word))
    if not isinstance(word, str) or not isinstance(options, dict):
        checker.fault(place, f"matchers[{index}]: expected a kind, or kind: {{options}}")
        return None
    offered = checker.kind(registry, Matcher, word, place)
    checked = checker.model(offered.Options, options, place) if offered else None
    return (offered, checked) if offered and checked is not None else None


def _targets(checker: Checker, registry: Registry) -> Mapping[str, TargetConfig]:
    """Return the targets by name, without the faulty ones."""
    given = checker.document.data.get("targets")
    found: dict[str, TargetConfig] = {}
    for name, mapping in given.items() if isinstance(given, dict) else ():
        one = _target(checker, registry, name, mapping) if isinstance(mapping, dict) else None
        found |= {name: one} if one else {}
    return found


def _target(checker: Checker, registry: Registry, name: str, mapping: Mapping[str, object]) -> TargetConfig | None:
    place: YamlPath = ("targets", name)
    offered = checker.named(registry, Forwarder, mapping, place)
    if offered is None:
        return None
    if offered.sends_mail:
        mail = checker.model(MailTarget, mapping, place)
        if mail and mail.mode not in offered.modes:
            fits = enumerated(repr(one) for one in ("attached", "inline") if one in offered.modes)
            what = f"{offered.kind} can't send this way, expected {fits}"
            checker.fault((*place, "mode"), f"{dotted((*place, 'mode'))}: {what}")
            return None
        return TargetConfig(name=name, **dict(mail)) if mail else None
    rest = {key: value for key, value in mapping.items() if key != "kind"}
    options = checker.model(offered.Options, rest, place)
    return TargetConfig(name=name, kind=offered.kind, options=options) if options is not None else None


def _unknown_targets(checker: Checker) -> None:
    data = checker.document.data
    rules, targets = data.get("forward"), data.get("targets", {})
    for index, rule in enumerate(rules if isinstance(rules, list) else []):
        to = rule.get("to") if isinstance(rule, dict) else None
        for place, word in words(to, ("forward", index, "to")):
            if isinstance(targets, dict) and word not in targets:
                checker.fault(place, f"unknown target {word!r}{hint(word, targets)}")


def words(value: object, place: YamlPath) -> Iterator[tuple[YamlPath, str]]:
    """Yield each text of a list, or a text by itself, with its place."""
    if isinstance(value, str):
        yield place, value
    for index, word in enumerate(value if isinstance(value, list) else []):
        if isinstance(word, str):
            yield (*place, index), word
