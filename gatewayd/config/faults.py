"""Turn pydantic's errors into faults in plain words, each at its line and column in the file."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, get_args

from pydantic import BaseModel

from gatewayd.api.options import Secret
from gatewayd.config.models.fields import yaml_keys
from gatewayd.errors import enumerated

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from gatewayd.config.yaml_documents import Document, YamlPath
    from gatewayd.errors import Fault

__all__ = ["dotted", "hint", "translated"]

#: What was expected, by pydantic's type of error.
_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type"), "a list"),
    **dict.fromkeys(("dict_type", "mapping_type", "model_type", "model_attributes_type"), "keys and values"),
    "literal_error": "{expected}",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "string_too_short": "text of at least {min_length} characters",
    "string_too_long": "text of at most {max_length} characters",
    "too_short": "a list of at least {min_length}",
    "too_long": "a list of at most {max_length}",
    "string_pattern_mismatch": "text that fits {pattern}",
}
_RANGES = {"greater_than", "greater_than_equal", "less_than", "less_than_equal"}
#: Errors whose value can be shown: it is a number or one of few words, never a secret.
_SHOWN = {"literal_error", *_RANGES}
#: Errors after which nothing is said of the value found: its type was right.
_ALONE = {"string_too_short", "string_too_long", "too_short", "too_long", "string_pattern_mismatch"}


def hint(word: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown word: the nearest known one, or all of them.

    >>> hint("hots", ["host", "port"])
    ", did you mean 'host'?"
    """
    words = sorted(set(known))
    near = difflib.get_close_matches(word, words, n=1)
    if near:
        return f", did you mean {near[0]!r}?"
    return f", expected {enumerated(map(repr, words))}" if words else ""


def dotted(place: YamlPath) -> str:
    """Return a place for people: ``import.folders[0]``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")


def translated(error: ValidationError, document: Document, at: YamlPath, models: Sequence[type[BaseModel]]) -> Iterator[Fault]:
    """Yield the faults of one validation, one for each place.

    ``at`` is the place of the validated mapping; ``models`` are all that share it, for the nearest known key.
    """
    mismatches: dict[YamlPath, list[ErrorDetails]] = {}
    errors = error.errors(include_url=False)
    for one in errors:
        if any(other["loc"][: len(one["loc"])] == one["loc"] for other in errors if other["loc"] != one["loc"]):
            # Pydantic counts only the good items of a list: its error about the length means nothing then.
            continue
        place = _place(document, at, one["loc"])
        said = one["type"] in ("value_error", "assertion_error")
        if document.spoilt(place) or (said and document.spoilt_within(place)):
            continue
        if one["loc"][-1:] == ("[key]",):
            yield _key(document, place, one)
        elif one["type"] == "missing":
            yield document.fault(place, f"missing key {dotted((*place, one['loc'][-1]))!r}")
        elif one["type"] == "extra_forbidden":
            known = [name for model in models for name in _fields(model, place[len(at) : -1])]
            yield document.fault(place, f"unknown key {dotted(place)!r}{hint(str(place[-1]), known)}", key=True)
        elif said:
            yield _said(document, place, str(one["ctx"]["error"]))
        else:
            mismatches.setdefault(place, []).append(one)
    for place, several in mismatches.items():
        yield document.fault(place, f"{dotted(place)}: {_mismatch(several, _value(document, place))}")


def _place(document: Document, at: YamlPath, loc: tuple[str | int, ...]) -> YamlPath:
    """Return the place in the file for pydantic's ``loc``, which also names members of unions."""
    place = at
    for part in loc:
        if (*place, part) in document.values:
            place = (*place, part)
    return place


def _said(document: Document, place: YamlPath, message: str) -> Fault:
    """Return the fault of a validator's own words. If they begin with a key of the mapping, it is at that key's value."""
    key = re.match(r"(\w+):", message)
    if key and (*place, key[1]) in document.values:
        return document.fault((*place, key[1]), f"{dotted(place)}.{message}".lstrip("."))
    return document.fault(place, f"{dotted(place)}: {message}" if place else message)


def _key(document: Document, place: YamlPath, error: ErrorDetails) -> Fault:
    said = str(error["ctx"]["error"]) if error["type"] == "value_error" else f"expected {_expected(error, place[-1])}"
    return document.fault(place, f"unknown key {dotted(place)!r}, {said}", key=True)


def _mismatch(errors: list[ErrorDetails], value: object) -> str:
    expected = dict.fromkeys(_expected(error, value) for error in errors)
    shown = any(error["type"] in _SHOWN for error in errors) and isinstance(value, str | int | float)
    found = str(value) if isinstance(value, bool) else repr(value)
    text = f"expected {' or '.join(expected)}"
    if any(error["type"] in _ALONE for error in errors):
        return text
    text += f", found {found if shown else _described(value)}"
    if isinstance(value, bool | int | float) and any(error["type"] == "string_type" for error in errors):
        text += ": write it in quotes"
    words = [word for error in errors for word in re.findall(r"'([^']+)'", str(error.get("ctx", {}).get("expected", "")))]
    near = difflib.get_close_matches(str(value), words, n=1) if shown else []
    return f"{text}; did you mean {near[0]!r}?" if near else text


def _expected(error: ErrorDetails, value: object) -> str:
    template = _EXPECTED.get(error["type"])
    if template is None:
        return error["msg"].removeprefix("Input should be ").removeprefix("a valid ")
    limits = {key: f"{limit:.10g}" if isinstance(limit, float) else limit for key, limit in error.get("ctx", {}).items()}
    # Only a duration is text in the file and a number in the model.
    return template.format_map(limits) + (" s" if isinstance(value, str) and error["type"] in _RANGES else "")


def _described(value: object) -> str:
    names: Mapping[type, str] = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "text",
        list: "a list",
        dict: "keys and values",
        Secret: "a reference to a secret",
    }
    return names.get(type(value), "something else")


def _value(document: Document, place: YamlPath) -> object:
    value: object = document.data
    for part in place:
        value = value[part] if isinstance(value, dict | list) else None  # type: ignore[index]
    return value


def _fields(model: type[BaseModel], place: YamlPath) -> list[str]:
    """Return the keys that the mapping at ``place`` inside ``model`` may have; an empty list if the mapping is another model's."""
    for depth, part in enumerate(place):
        fields = {info.alias or name: info.annotation for name, info in model.model_fields.items()}
        if depth == 0 and part not in fields:
            return []
        # An index, or a free key such as a user's name, leads deeper without leaving the model.
        model = _model(fields.get(str(part))) or model
    return yaml_keys(model)


def _model(annotation: object) -> type[BaseModel] | None:
    """Return the first model inside an annotation such as ``tuple[Model, ...] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _model(inner))), None)
