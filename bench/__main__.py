"""``./gw bench NAME``: compare with peers, in one run on one server. Nothing here is a timed test."""

from __future__ import annotations

import argparse
import sys

from bench import graph, idle, importing, outbox, pages, remote, web

_BENCHES = {
    "graph": graph.main,
    "idle": idle.main,
    "import": importing.main,
    "outbox": outbox.main,
    "pages": pages.main,
    "remote": remote.main,
    "web": web.main,
}


def main() -> int:
    """Run the benchmark that the command line names."""
    parser = argparse.ArgumentParser(prog="./gw bench", description=__doc__)
    parser.add_argument("name", choices=sorted(_BENCHES), help="what to measure")
    parser.add_argument("number", nargs="?", type=int, default=1_000_000, help="how many filings, for web (default 1,000,000)")
    parser.add_argument("--messages", type=int, help="how many messages (default 10,000; 50,000 for remote)")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds, of which the median is shown (default 3)")
    parser.add_argument("--reservations", type=int, default=1_000_000, help="how many reservations (default 1,000,000)")
    parser.add_argument("--persons", type=int, default=200_000, help="how many persons (default 200,000)")
    parser.add_argument("--deliveries", type=int, default=2_000, help="how many deliveries (default 2,000)")
    parser.add_argument(
        "--accounts", type=int, help="how many accounts wait, or pages are open (default 1,000; 500 for graph and pages)"
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="for how long they are looked at (default 60)")
    parser.add_argument("--only", nargs="*", default=(), help="only these rows, by the first word of their names")
    given = parser.parse_args()
    given.messages = given.messages or (50_000 if given.name == "remote" else 10_000)
    given.accounts = given.accounts or (500 if given.name in {"graph", "pages"} else 1_000)
    return _BENCHES[given.name](given)


if __name__ == "__main__":
    sys.exit(main())
