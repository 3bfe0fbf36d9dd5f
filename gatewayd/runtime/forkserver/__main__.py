"""``python -m gatewayd.runtime.forkserver CONTROL PROGRAM...``: import the programs, and fork for each child that is asked for."""

import sys

from gatewayd.runtime import gc_tuning
from gatewayd.runtime.forkserver.server import main

if __name__ == "__main__":
    gc_tuning.collect_seldom()
    main(int(sys.argv[1]), sys.argv[2:])
