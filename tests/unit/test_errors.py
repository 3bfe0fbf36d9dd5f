"""The errors are verbs: a tree, a line that says what is wrong, and a line that says what to do."""

from __future__ import annotations

import pickle

import pytest

from gatewayd import errors
from gatewayd.errors import (
    AuthError,
    ConfigError,
    Fault,
    GatewaydError,
    LeaseLost,
    PermanentError,
    PluginError,
    StoreReplaced,
    TooLarge,
    TransientError,
    joined,
    kept,
)

VERBS = [ConfigError, PluginError, AuthError, TransientError, PermanentError]


def test_there_are_five_verbs_and_the_tree_is_as_drawn() -> None:
    assert [kind for kind in GatewaydError.__subclasses__() if kind.__module__ == errors.__name__] == VERBS
    assert [kind for kind in TransientError.__subclasses__() if kind.__module__ == errors.__name__] == [
        LeaseLost,
        StoreReplaced,
        TooLarge,
    ]
    drawn = errors.__doc__ or ""
    assert all(kind.__name__ in drawn for kind in (GatewaydError, *VERBS, LeaseLost))


@pytest.mark.parametrize("kind", [*VERBS, LeaseLost])
def test_an_error_says_what_is_wrong_and_what_to_do(kind: type[GatewaydError]) -> None:
    error = kind("it is wrong", advice="Mend it.")
    assert (error.message, error.advice, str(error)) == ("it is wrong", "Mend it.", "it is wrong")
    assert kind("alone").advice == ""


def test_P9_what_is_kept_of_an_error_holds_no_frames_and_of_a_bug_where_it_is() -> None:
    def fail(error: BaseException) -> BaseException:
        said = b"correct horse"
        try:
            try:
                raise ValueError(said)  # noqa: TRY301  the error that is kept has a cause
            except ValueError as cause:
                raise error from cause
        except BaseException as caught:  # noqa: BLE001  as those do who keep one
            return kept(caught)

    error = fail(TransientError("it was lost", advice="It is tried again."))
    assert (str(error), error.__traceback__, error.__cause__, error.__context__) == ("it was lost", None, None, None)
    assert fail(RuntimeError("a bug")).__traceback__ is not None


def test_faults_stand_in_the_order_of_files_and_lines_and_read_as_a_compiler_says_them() -> None:
    second = Fault(file="accounts/b.yaml", line=10, column=2, what="unknown key")
    first = Fault(file="accounts/b.yaml", line=9, column=30, what="missing key")
    other = Fault(file="accounts/a.yaml", what="can't be read")
    assert sorted([second, first, other]) == [other, first, second]
    assert str(first) == "accounts/b.yaml:9:30: missing key"
    assert ConfigError("faulty", faults=[first, second]).faults == (first, second)


@pytest.mark.parametrize(("line", "column", "place"), [(9, 30, "a.yaml:9:30"), (9, 0, "a.yaml:9"), (0, 0, "a.yaml")])
def test_of_a_place_just_what_is_known_is_shown(line: int, column: int, place: str) -> None:
    fault = Fault(file="a.yaml", line=line, column=column, what="no")
    assert (fault.place, str(fault)) == (place, f"{place}: no")


def test_how_long_to_wait_is_known_only_where_the_other_side_said_so() -> None:
    assert TransientError("busy").retry_after is None
    assert TransientError("busy", retry_after=30).retry_after == 30


def test_an_error_comes_back_from_another_process() -> None:
    for error in (TransientError("busy", advice="Wait.", retry_after=3), ConfigError("x", faults=[Fault(file="a", what="b")])):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), again.message, again.__dict__) == (type(error), error.message, error.__dict__)


def test_several_texts_are_one_line_whether_they_end_with_an_advice_or_not() -> None:
    assert joined(["no such folder. Make it.", "it is slow", "the server said no."]) == (
        "no such folder. Make it; it is slow; the server said no."
    )
    assert joined([]) == ""
