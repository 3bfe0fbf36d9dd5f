"""``check --online`` tries what is no mailbox, too: webhooks and notices by connection and TLS alone, each within a deadline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.testing.servers.proxy import free_ports
from tests.e2e.house import House
from tests.patience import AT_ONCE, Stopwatch
from tests.plugins.webhook_site import SECRET, receiver, scripted

if TYPE_CHECKING:
    import socket
    from pathlib import Path

HANGING = """
import time
from pydantic import Field
from gatewayd import Courier, Forwarder, hookimpl

class Hangs(Forwarder):
    kind = "hangs"

    class Options(Forwarder.Options):
        timeout: float = Field(0.2, description="Seconds.")

    def open(self):
        time.sleep(1000)

class Broken(Forwarder):
    kind = "broken"

    def open(self):
        raise KeyError("a bug")

class Short(Courier):
    def deliver(self, parcels):
        raise NotImplementedError

    def problems(self):
        return ["the right to post is missing"]

    def abort(self):
        pass

    def close(self):
        pass

class Lacking(Forwarder):
    kind = "lacking"

    def open(self):
        return Short()

@hookimpl
def gatewayd_forwarders():
    return [Hangs, Broken, Lacking]
"""


def silent(connection: socket.socket) -> None:
    """Say nothing until the other side goes."""
    connection.recv(1 << 16)
    connection.recv(1)


def test_targets_and_notices_are_tried_and_nothing_is_sent(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.write("secret", SECRET)
    house.write("plugins/hanging.py", HANGING)
    (tmp_path / "site").mkdir()
    with receiver(tmp_path / "site") as site, scripted(silent) as mute:
        hook = "{{kind: webhook, url: '{}', secret: !file secret, ca_file: {}, allow_private: [localhost], timeout: {}}}"
        urls = {
            "good": (site.url(), site.ca_file, "20s"),
            "refused": (f"https://localhost:{free_ports(1)[0]}/", site.ca_file, "20s"),
            "mute": (f"https://localhost:{mute}/", site.ca_file, "1s"),
        }
        targets = [f"  {name}: {hook.format(*values)}\n" for name, values in urls.items()]
        house.operator(
            "acme",
            more=f"targets:\n{''.join(targets)}  stuck: {{kind: hangs}}\n  buggy: {{kind: broken}}\n  short: {{kind: lacking}}\n",
        )
        main = (house.folder / "gatewayd.yaml").read_text()
        house.write(
            "gatewayd.yaml", f"{main}administrators: {{ada: {{email: ada@acme.example}}}}\nnotify: {hook.format(*urls['good'])}\n"
        )
        watch = Stopwatch()
        done = house.run("check", "--online")
        assert watch.seconds < AT_ONCE
        assert site.connections == 2
        assert not site.requests
    said = dict(line.split(": ", 1) for line in done.out.splitlines())
    assert done.code == 1, done
    assert (said["acme/good"], said["notify"]) == ("ok", "ok")
    assert "connection refused" in said["acme/refused"]
    assert "no answer within 1 s" in said["acme/mute"]
    assert "it did not come to its end within 0.8 s" in said["acme/stuck"]
    assert "the plugin failed: KeyError" in said["acme/buggy"]
    assert said["acme/short"] == "the right to post is missing"
    assert "5 failed online: acme/refused, acme/mute, acme/stuck, acme/buggy, acme/short." in done.err
