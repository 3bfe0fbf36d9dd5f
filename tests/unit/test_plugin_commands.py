"""A plugin's command: its options become flags, and its faults a usage error that names the flag."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import Field, model_validator

from gatewayd import Command, PermanentError
from gatewayd.cli import plugin_commands


class Shout(Command):
    """Say it loudly.

    More than once, if you like.
    """

    kind = "shout"

    class Options(Command.Options):
        what_to_say: str = Field(description="The words.")
        times: int = Field(1, description="How often.", ge=1, le=3)
        once_more: bool = Field(False, description="And again.")

        @model_validator(mode="after")
        def _silence(self) -> Any:
            if self.what_to_say == "nothing":
                msg = "there is nothing to say"
                raise ValueError(msg)
            return self

    options: Options

    def run(self) -> int:
        if self.options.what_to_say == "no":
            raise PermanentError("it can't be said")
        print(self.options.what_to_say * (self.options.times + self.options.once_more))
        return 0 if self.options.times < 3 else 1


def run(*arguments: str) -> Any:
    return CliRunner().invoke(plugin_commands.command(Shout), arguments, standalone_mode=False)


def test_options_become_flags() -> None:
    assert run("--what-to-say", "ho").output == "ho\n"
    assert run("--what-to-say", "ho", "--times", "2", "--once-more").output == "hohoho\n"


def test_the_exit_code_is_the_commands() -> None:
    assert run("--what-to-say", "ho").return_value == 0
    assert run("--what-to-say", "ho", "--times", "3").return_value == 1


def test_help_is_the_class_with_its_fields() -> None:
    shown = run("--help").output
    for text in ("Say it loudly.", "More than once", "--what-to-say", "The words.", "--times", "INTEGER", "--once-more"):
        assert text in shown


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "--what-to-say: Field required"),
        (["--what-to-say", "ho", "--times", "4"], "--times: Input should be less than or equal to 3"),
        (["--what-to-say", "nothing"], "there is nothing to say"),
    ],
)
def test_a_value_that_does_not_fit_is_a_usage_error_that_names_the_flag(arguments: list[str], expected: str) -> None:
    done = CliRunner().invoke(plugin_commands.command(Shout), arguments)
    assert done.exit_code == 2
    assert expected in done.stderr
    assert "--:" not in done.stderr


def test_an_error_of_the_command_is_left_to_the_command_line() -> None:
    assert isinstance(run("--what-to-say", "no").exception, PermanentError)
