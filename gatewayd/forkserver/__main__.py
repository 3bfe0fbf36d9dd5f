"""``python -m gatewayd.forkserver CONTROL PROGRAM...``: import the programs, and fork for each child that is asked for."""

import sys
from importlib import import_module

from gatewayd import garbage

if __name__ == "__main__":
    garbage.collect_seldom()
    for program in sys.argv[2:]:
        import_module(program)
    # Imported here, it does not count as part of what a child has done.
    import_module("gatewayd.forkserver.server").main(int(sys.argv[1]))
