"""``python -m gatewayd.worker``: what is pickled here must not be called ``__main__``."""

import sys

from gatewayd.worker import main

main(sys.argv[1:])
