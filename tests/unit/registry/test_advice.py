"""What an error of ours advises reaches whoever reads what is wrong, wherever the error became a text of something else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gatewayd import Action, ConfigError, PermanentError, TransientError
from gatewayd.config import ImportConfig
from gatewayd.matching import LocalMatching
from gatewayd.registry.guarded_directory import DirectoryFailed, GuardedDirectory
from gatewayd.registry.loading import Trials, load
from gatewayd.testing import FakeDirectory, FakeTransport, make_mail
from gatewayd.testing.contracts.custodian import make_raw
from tests.unit.kernel import Gateway, match_request, match_with, matcher, registry, spec
from tests.unit.outbound import Post
from tests.unit.registry.test_loading import loaded, write

if TYPE_CHECKING:
    from pathlib import Path

REFUSED = PermanentError("no such folder", advice="Make it.")
SAID = "no such folder. Make it."


def test_a_visit_says_what_to_do_where_the_server_refuses_what_is_owed(tmp_path: Path) -> None:
    transport = FakeTransport(account="main")
    transport.deliver(make_raw(1))
    with Gateway(tmp_path, transport, imports=ImportConfig(folders=("INBOX",), after=Action(do="delete"))) as gateway:
        transport.on("settle", REFUSED)
        assert gateway.visit().problems == (f"INBOX: delete: {SAID}",)


@pytest.mark.parametrize("error", [REFUSED, ConfigError("no such folder", advice="Make it.")])
def test_a_delivery_says_what_to_do_where_it_could_not_be_made(tmp_path: Path, error: PermanentError | ConfigError) -> None:
    with Post(tmp_path) as post:
        server, one = post.account(), post.enter()
        server.says = {one: error}
        post.deliver()
        assert post.view(one).words == SAID


def test_what_waits_for_a_server_that_can_not_be_reached_says_what_to_do(tmp_path: Path) -> None:
    with Post(tmp_path) as post:
        server, one = post.account(), post.enter()
        server.shut = TransientError("no such host", advice="Correct it.")
        post.deliver()
        assert post.view(one).words == "no such host. Correct it."


def test_a_directory_that_can_not_answer_says_what_to_do() -> None:
    class Away(FakeDirectory):
        def search(self, *_: Any, **__: Any) -> Any:
            raise REFUSED

    with pytest.raises(DirectoryFailed, match=f"^{SAID}$"):
        GuardedDirectory(Away()).search("customer", "nord")


def test_a_matcher_that_can_not_be_built_says_what_to_do() -> None:
    class Unbuilt(matcher("unbuilt", lambda _mails, _directory: ())):  # type: ignore[misc]
        def __init__(self, *_: Any, **__: Any) -> None:
            raise REFUSED

    request = match_request(spec=spec("acme", "unbuilt"), mails=(make_mail(mail_id=1),))
    found = match_with(LocalMatching(registry(Unbuilt)), request)
    assert [fault.error for _, fault in found.faults] == [SAID]


def test_a_plugin_that_is_out_of_use_says_what_to_do(tmp_path: Path) -> None:
    body = "from gatewayd import PluginError\nraise PluginError('no such folder', advice='Make it.')"
    found = load(write(tmp_path, vouchers=body), tries=Trials(seconds=60))
    assert loaded(found, "vouchers").error == SAID
