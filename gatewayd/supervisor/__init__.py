"""Who works when: due times, watching, back-off, leases, worker processes. The only room with threads."""

from gatewayd.supervisor.loop import Supervisor
from gatewayd.supervisor.values import Kit, Listener, Pace

__all__ = ["Kit", "Listener", "Pace", "Supervisor"]
