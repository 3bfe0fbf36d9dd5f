"""What is left in the store of those who are no longer in the config is told with what to do."""

from __future__ import annotations

from gatewayd.cli.removed import forgotten_lines, former_lines


def test_operators_come_first_and_users_are_told_with_theirs() -> None:
    first, second = former_lines({("acme", "irina"): 1, ("acme", None): 2})
    assert first.startswith("There are 2 filings of operator acme, which is no longer in the config: ")
    assert first.endswith("If that is a mistake, put operators/acme.yaml right.")
    assert second.startswith("There is 1 filing of user irina of operator acme, who is no longer in the config: ")
    assert second.endswith("If that is a mistake, put `users` of operators/acme.yaml right.")


def test_an_account_without_a_file_is_told_with_both_ways_out() -> None:
    (line,) = forgotten_lines(["old"])
    assert line.startswith("Account old was imported here, and has no file any more")
    assert "put accounts/old.yaml back" in line
    assert "`gatewayd account rename old NEW`" in line
