"""What the supervisor keeps of one account."""

from __future__ import annotations

from gatewayd import Answer
from gatewayd.api.roles import Transport
from gatewayd.config import AccountConfig, LimitsConfig
from gatewayd.importing.daily_quota import DailyQuota
from gatewayd.scheduler.account_state import AccountState


def test_what_goes_on_is_told_once_an_hour_and_at_once_when_it_comes_again() -> None:
    account = AccountConfig(name="main", kind="fake", operators=("acme",), options=Transport.Options())
    state = AccountState(account, DailyQuota(LimitsConfig()))
    sound, wrong = Answer(account="main"), Answer(account="main", problems=("there is no folder Archiv",))
    other = Answer(account="main", problems=wrong.problems, notes=("and this",))
    said = [
        (wrong, 0),
        (wrong, 60),
        (other, 120),
        (other, 180),
        (sound, 240),
        (other, 300),
        (other, 3600 + 240),
        (other, 3600 + 360),
    ]
    assert [state.reports_again(answer, 1000.0 + at) for answer, at in said] == [
        False,
        True,
        False,
        True,
        False,
        False,
        True,
        False,
    ]
