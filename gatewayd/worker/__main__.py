"""``python -m gatewayd.worker``: what is pickled here must not be called ``__main__``."""

import sys

from gatewayd import garbage
from gatewayd.worker import main

garbage.collect_seldom()
main(sys.argv[1:])
