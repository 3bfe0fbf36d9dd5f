"""The types of YAML fields: strict models, durations, paths and references to secrets."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from gatewayd.api.options import ConfigPath, Day, Duration, Options, Secret
from gatewayd.errors import AuthError

if TYPE_CHECKING:
    from typing import Literal

_DURATION: TypeAdapter[float] = TypeAdapter(Duration)
_PATH: TypeAdapter[Path] = TypeAdapter(ConfigPath)


class Inner(Options):
    numbers: tuple[int, ...] = ()


class Sample(Options):
    words: tuple[str, ...] = ()
    by_name: Mapping[str, frozenset[str]] = Field(default={})
    inner: tuple[Inner, ...] = ()
    number: int = 0
    password: Secret | None = None


def test_lists_become_tuples_and_sets_at_any_depth() -> None:
    read = Sample.model_validate({"words": ["a"], "by_name": {"x": ["b", "b"]}, "inner": [{"numbers": [1, 2]}]})
    assert read == Sample(words=("a",), by_name={"x": frozenset({"b"})}, inner=(Inner(numbers=(1, 2)),))


@pytest.mark.parametrize(
    "wrong",
    [{"words": "a"}, {"words": {"a": 1}}, {"words": [1]}, {"number": "1"}, {"number": True}, {"inner": [{"x": 1}]}, {"x": 1}],
)
def test_nothing_else_is_converted_and_unknown_keys_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Sample.model_validate(wrong)


def test_options_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(Sample(), "number", 2)  # noqa: B010  mypy knows it too


@pytest.mark.parametrize(("text", "seconds"), [("60s", 60.0), ("5m", 300.0), ("2h", 7200.0), ("1d", 86400.0), ("0s", 0.0)])
def test_a_duration_is_seconds_in_python(text: str, seconds: float) -> None:
    assert _DURATION.validate_python(text) == seconds


@pytest.mark.parametrize("wrong", ["60", "s", "1.5h", "-1s", "1w", " 1s", "1s\n", "\u0663s", "9999999999s", 60, 60.0, None, ["1s"]])
def test_a_duration_without_unit_or_with_another_is_refused_in_a_file(wrong: object) -> None:
    with pytest.raises(ValidationError, match="expected a duration such as 60s, 5m, 2h or 1d"):
        _DURATION.validate_python(wrong, context={"folder": Path()})


class Timed(Options):
    timeout: Duration = 10.0
    folder: ConfigPath = Path("data")


def test_python_gives_options_as_they_are_typed() -> None:
    made = Timed(timeout=5.0, folder=Path("acme"))
    assert (made.timeout, made.folder) == (5.0, Path("acme"))
    assert type(Timed(timeout=5).timeout) is float
    assert Timed.model_validate({"timeout": "5s", "folder": "acme"}) == made
    assert Timed.model_validate(made.model_dump()) == made


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf"), 1e18, True, "60", None, [1.0]])
def test_seconds_that_are_no_span_of_time_are_refused(wrong: object) -> None:
    with pytest.raises(ValidationError, match="expected a duration such as 60s, 5m, 2h or 1d, or seconds as a number"):
        Timed.model_validate({"timeout": wrong})


def test_a_default_path_counts_from_the_config_folder_too() -> None:
    assert Timed.model_validate({}, context={"folder": Path("/etc/gatewayd")}).folder == Path("/etc/gatewayd/data")


def test_a_relative_path_counts_from_the_config_folder() -> None:
    context = {"folder": Path("/etc/gatewayd")}
    assert _PATH.validate_python("acme/data", context=context) == Path("/etc/gatewayd/acme/data")
    assert _PATH.validate_python("/srv/data", context=context) == Path("/srv/data")
    assert _PATH.validate_python("data") == Path("data")


@pytest.mark.parametrize("wrong", ["", "a\0b", 7, None, ["a"]])
def test_what_is_no_path_is_refused(wrong: object) -> None:
    with pytest.raises(ValidationError, match="expected a path"):
        _PATH.validate_python(wrong)


def test_a_secret_is_looked_up_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SALES", "hunter2")
    assert Secret("env", "SALES").reveal() == "hunter2"


def test_a_secret_is_read_from_a_file_without_its_last_newline(tmp_path: Path) -> None:
    path = tmp_path / "sales"
    path.write_bytes(b" hunter 2 \r\n")
    assert Secret("file", str(path)).reveal() == " hunter 2 "


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        ("hunter2\n".encode("utf-16-le"), "has NUL characters, as UTF-16 has"),
        ("hunter2".encode("utf-16"), "is not UTF-8 text"),
        (b"x" * ((1 << 16) + 1), "is larger than 65536 bytes"),
    ],
)
def test_a_secret_that_a_program_saved_otherwise_is_told_and_not_used(tmp_path: Path, raw: bytes, what: str) -> None:
    (tmp_path / "sales").write_bytes(raw)
    with pytest.raises(AuthError, match=what):
        Secret("file", str(tmp_path / "sales")).reveal()
    (tmp_path / "sales").write_bytes(b"\xef\xbb\xbfhunter2\r\n")
    assert Secret("file", str(tmp_path / "sales")).reveal() == "hunter2"


def test_a_credential_is_read_from_the_folder_of_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sales").write_text("hunter2\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert Secret("credential", "sales").reveal() == "hunter2"


def test_a_credential_of_a_folder_is_read_under_the_name_that_systemd_gives_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As LoadCredential=gatewayd:FOLDER has it; one that is loaded by its own name comes first."""
    (tmp_path / "gatewayd_sales").write_text("hunter2\n")
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside/rooms").write_text("not this\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert Secret("credential", "sales", tmp_path / "beside").reveal() == "hunter2"
    (tmp_path / "sales").write_text("hunter3\n")
    assert Secret("credential", "sales", tmp_path / "beside").reveal() == "hunter3"
    # Where systemd gives credentials, no others are looked for.
    with pytest.raises(AuthError, match="No such file") as caught:
        Secret("credential", "rooms", tmp_path / "beside").reveal()
    assert f"Put it into {tmp_path}/beside/rooms, as root" in caught.value.advice


def test_a_credential_is_read_beside_the_config_where_systemd_gives_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    (tmp_path / "sales").write_text("hunter2\n")
    assert Secret("credential", "sales", tmp_path).reveal() == "hunter2"
    with pytest.raises(AuthError, match="can't be read: No such file"):
        Secret("credential", "rooms", tmp_path).reveal()


@pytest.mark.parametrize(
    ("by", "name", "what", "advice"),
    [
        ("env", "SALES", "missing or empty", "Set the environment variable SALES."),
        ("file", "/nowhere/sales", "can't be read: No such file", "Put the secret into /nowhere/sales"),
        ("credential", "sales", "CREDENTIALS_DIRECTORY is not set", "LoadCredential=sales:PATH"),
    ],
)
def test_a_missing_secret_pauses_the_account_and_says_what_to_do(
    by: Literal["env", "file", "credential"], name: str, what: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SALES", raising=False)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(AuthError, match=what) as caught:
        Secret(by, name).reveal()
    assert advice in caught.value.advice


def test_P9_a_secret_that_is_no_text_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "sales"
    path.write_bytes(b"hunter2\xff")
    with pytest.raises(AuthError, match="is not UTF-8 text") as caught:
        Secret("file", str(path)).reveal()
    assert "hunter2" not in repr(caught.value)
    assert caught.value.__cause__ is None


def test_P9_a_plain_password_is_refused_and_not_shown() -> None:
    with pytest.raises(ValidationError, match="expected a reference to a secret") as caught:
        Sample.model_validate({"password": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_P9_options_carry_the_reference_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SALES", "hunter2")
    options = Sample(password=Secret("env", "SALES"))
    assert options.password
    assert options.password.reveal() == "hunter2"
    assert "hunter2" not in f"{options!r} {options} {options.password}"
    assert b"hunter2" not in pickle.dumps(options)
    assert str(options.password) == "!env SALES"


def test_P9_the_schema_of_a_secret_is_a_text_that_is_only_written() -> None:
    assert Sample.model_json_schema()["properties"]["password"]["anyOf"][0]["writeOnly"] is True


def test_a_day_is_written_in_one_way() -> None:
    class Dated(Options):
        day: Day | None = None

    assert Dated.model_validate({"day": "2027-03-01"}).day == Dated(day=date(2027, 3, 1)).day == date(2027, 3, 1)
    for wrong in (
        "2027-02-30",
        "2027-3-1",
        "01.03.2027",
        "20270301",
        "2027-03-01T00:00:00",
        "",
        20270301,
        datetime(2027, 3, 1, tzinfo=UTC),
    ):
        with pytest.raises(ValidationError, match="expected a day such as 2027-03-01"):
            Dated.model_validate({"day": wrong})
