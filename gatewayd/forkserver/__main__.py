"""``python -m gatewayd.forkserver CONTROL PROGRAM``: import the program, and fork for each child that is asked for."""

import sys
from importlib import import_module

from gatewayd import garbage

if __name__ == "__main__":
    garbage.collect_seldom()
    # Imported here, it does not count as part of what a child has done.
    import_module(sys.argv[2])
    import_module("gatewayd.forkserver.server").main(int(sys.argv[1]))
