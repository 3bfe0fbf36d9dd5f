"""Read one operator's file."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from gatewayd.api.roles import Directory, Matcher, Operator, Plugin
from gatewayd.config.forwards import rules, targets
from gatewayd.config.models import OperatorFile
from gatewayd.config.values import OperatorConfig

if TYPE_CHECKING:
    from gatewayd.config.checker import Checker
    from gatewayd.registry.loading import Registry

__all__ = ["operator"]


def operator(checker: Checker, registry: Registry) -> OperatorConfig:
    """Return what an operator's file says, or that it is faulty; ``checker`` has its faults then."""
    data = checker.document.data
    name = PurePath(checker.document.file).stem
    found = checker.model(OperatorFile, data, ())
    directory = _directory(checker, registry)
    subject = Operator(name=name, title=found.title, brands=found.brands) if found else Operator(name=name)
    matchers = _matchers(checker, registry, subject)
    goals = targets(checker, registry)
    sends_on = rules(checker, found)
    if found is None or checker.faults:
        # Its users stay known where they can be: their personal mail is theirs, whatever else is wrong.
        return OperatorConfig(name=name, users=found.users if found else {}, faulty=True)
    return OperatorConfig(
        name=name,
        title=found.title,
        brands=found.brands,
        directory_kind=directory[0] if directory else None,
        directory_options=directory[1] if directory else None,
        matchers=matchers,
        targets=goals,
        rules=sends_on,
        queues=found.queues,
        users=found.users,
    )


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
            checker.fault(("matchers", index), f"matchers[{index}]: {matcher.kind!r} stands here twice, expected it once")
            continue
        found[matcher.kind] = options
        checker.tried(("matchers", index), lambda: matcher(options, operator=subject))  # noqa: B023  called at once
    return tuple(found.items())


def _matcher(checker: Checker, registry: Registry, item: object, index: int) -> tuple[type[Matcher], Plugin.Options] | None:
    place: tuple[str | int, ...] = ("matchers", index)
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
