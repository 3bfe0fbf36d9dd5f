"""The stand-in for Microsoft Graph in a process of its own: ``python -m bench.graph_server MAILBOXES MESSAGES DELAY FOLDER``.

It writes what clients need to ``FOLDER/graph.json``. Each line on its standard input is answered by a line of JSON: for each
mailbox the times at which it was asked since the last line. It ends with its standard input.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from gatewayd.testing.graph import Graph
from gatewayd.testing.messages import booking_messages


def main() -> int:
    """Serve until the standard input ends."""
    mailboxes, messages, delay, folder = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4])
    with Graph() as graph:
        graph.knobs.delay = delay
        full = graph.add_mailbox("full@acme.example")
        for raw in booking_messages(messages, heavy=True, bookings=100_000):
            full.deliver(raw)
        idle = [graph.add_mailbox(f"idle{number}@acme.example") for number in range(mailboxes)]
        told = {
            "authority": graph.authority,
            "base": graph.base,
            "ca_file": str(graph.ca_file),
            "tenant": graph.app.tenant,
            "client": graph.app.client,
            "secret": graph.app.secret,
            "full": full.id,
            "idle": [one.id for one in idle],
        }
        (folder / "graph.json.new").write_text(json.dumps(told))
        (folder / "graph.json.new").rename(folder / "graph.json")
        for _ in sys.stdin:
            asked: dict[str, list[float]] = {}
            for one in graph.log.requests:
                asked.setdefault(one.mailbox, []).append(one.began)
            graph.log.clear()
            print(json.dumps(asked), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
