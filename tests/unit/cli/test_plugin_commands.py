"""A plugin's command: its options become flags, and its faults a usage error that names the flag."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import Field, model_validator

from gatewayd import Command, PermanentError, PluginError
from gatewayd.cli import plugin_commands


class Shout(Command):
    """Say it loudly.

    More than once, if you like.
    """

    kind = "shout"

    class Options(Command.Options):
        what_to_say: str = Field(description="The words.")
        times: int = Field(1, description="How often.", ge=1, le=3)
        pause: float = Field(0.0, description="Seconds before it.")
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
        if self.options.what_to_say == "bug":
            raise KeyError(self.options.what_to_say)
        if self.options.what_to_say == "odd":
            return {0.5: None, 1.5: True, 2.5: "done", 3.5: 256}[self.options.pause]  # type: ignore[return-value]
        print(self.options.what_to_say * (self.options.times + self.options.once_more))
        return 0 if self.options.times < 3 else 1


#: The config folder.
FOLDER = Path("/etc/gatewayd")


def run(*arguments: str) -> Any:
    return CliRunner().invoke(plugin_commands.command(Shout, FOLDER), arguments, standalone_mode=False)


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
    done = CliRunner().invoke(plugin_commands.command(Shout, FOLDER), arguments)
    assert done.exit_code == 2
    assert expected in done.stderr
    assert "--:" not in done.stderr


@pytest.mark.parametrize("pause", ["0.5", "1.5", "2.5", "3.5"])
def test_P4_what_is_no_exit_code_is_the_commands_fault(pause: str) -> None:
    error = run("--what-to-say", "odd", "--pause", pause).exception
    assert isinstance(error, PluginError)
    assert "the command shout returned" in error.message
    assert "expected an exit code from 0 to 255" in error.message


def test_P4_whatever_a_command_raises_is_its_own_fault() -> None:
    error = run("--what-to-say", "bug").exception
    assert isinstance(error, PluginError)
    assert error.message.startswith("the command shout failed: KeyError: 'bug' (test_plugin_commands.py:")


def test_an_error_of_the_command_is_left_to_the_command_line() -> None:
    assert isinstance(run("--what-to-say", "no").exception, PermanentError)
