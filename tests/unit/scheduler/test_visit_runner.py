"""A visit in its slot: a transport that would end the process ends only that visit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.turned import Turned

if TYPE_CHECKING:
    from tests.unit.supervised import House


@pytest.mark.parametrize("step", ["watch", "open", "listing"])
def test_a_visit_in_which_a_transport_would_end_the_process_ends_as_one_that_failed(house: House, step: str) -> None:
    server = house.add("main", can_watch=True)
    server.on(step, SystemExit("a library thinks that it is a program"))  # type: ignore[arg-type]
    with Turned(house) as turned:
        turned.until(lambda: turned.state().error)
        assert "failed" in turned.state().error
        assert turned.state().run is None
        assert not turned.supervisor._pool.runs
        turned.until(lambda: server.sessions == 0)
        turned.supervisor._states.put(turned.state(), 0.0)
        turned.until(lambda: turned.state().checked_at)
        turned.until(server.watches)


def test_a_transport_that_would_end_the_process_when_it_is_made_costs_its_account_alone(house: House) -> None:
    server, broken = house.add("main"), [SystemExit("no licence")]
    made = house.servers.pop("main")
    with Turned(house) as turned:
        # As a class whose constructor ends the process.
        class Servers(dict[str, object]):
            def __missing__(self, name: str) -> object:
                if broken:
                    raise broken.pop()
                return made

        house.servers = Servers()  # type: ignore[assignment]
        turned.until(lambda: turned.state().error)
        assert "failed" in turned.state().error
        assert not turned.supervisor._pool.runs
        turned.supervisor._states.put(turned.state(), 0.0)
        turned.until(lambda: server.steps("listing"))
