"""Read what an operator's file says of mail that goes on: its targets and its forward rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.api.forwarder import Forwarder
from gatewayd.config.faults import hint
from gatewayd.config.models import MailTarget
from gatewayd.config.rules import Rule
from gatewayd.config.values import TargetConfig

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gatewayd.config.checker import Checker
    from gatewayd.config.models import OperatorFile
    from gatewayd.config.yaml_documents import Document, YamlPath
    from gatewayd.registry.loading import Registry

__all__ = ["rules", "targets", "words"]


def targets(checker: Checker, registry: Registry) -> Mapping[str, TargetConfig]:
    """Return the targets by name; ``checker`` has the faults of those that are left out."""
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
        return TargetConfig(name=name, kind=mail.kind, account=mail.account, to=mail.to, mode=mail.mode) if mail else None
    rest = {key: value for key, value in mapping.items() if key != "kind"}
    options = checker.model(offered.Options, rest, place)
    return TargetConfig(name=name, kind=offered.kind, options=options) if options is not None else None


def rules(checker: Checker, found: OperatorFile | None) -> tuple[Rule, ...]:
    """Return the rules in the order of the file; a target that they name and that is none is a fault."""
    given = checker.document.data.get("targets", {})
    for place, word in _named(checker.document):
        if isinstance(given, dict) and word not in given:
            checker.fault(place, f"unknown target {word!r}{hint(word, given)}")
    return tuple(
        Rule(
            number=index + 1,
            where=f"{checker.document.file}:{checker.document.values['forward', index][0]}",
            when=rule.when,
            targets=rule.to,
        )
        for index, rule in enumerate(found.forward if found else ())
    )


def _named(document: Document) -> Iterator[tuple[YamlPath, str]]:
    """Yield each name of a target in the rules, with its place."""
    given = document.data.get("forward")
    for index, rule in enumerate(given if isinstance(given, list) else []):
        to = rule.get("to") if isinstance(rule, dict) else None
        place: YamlPath = ("forward", index, "to")
        yield from words(to, place)


def words(value: object, place: YamlPath) -> Iterator[tuple[YamlPath, str]]:
    """Yield each text of a list, or the one that stands alone, with its place."""
    if isinstance(value, str):
        yield place, value
    for index, word in enumerate(value if isinstance(value, list) else []):
        if isinstance(word, str):
            yield (*place, index), word
