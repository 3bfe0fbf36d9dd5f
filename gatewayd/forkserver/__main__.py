"""``python -m gatewayd.forkserver CONTROL PROGRAM...``: import the programs, and fork for each child that is asked for."""

import sys

from gatewayd import garbage
from gatewayd.forkserver.server import main

if __name__ == "__main__":
    garbage.collect_seldom()
    main(int(sys.argv[1]), sys.argv[2:])
