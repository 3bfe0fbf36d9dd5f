# ``gatewayd.runtime.lazy_imports`` reads this file.

from gatewayd.scheduler.loop import Supervisor as Supervisor
from gatewayd.scheduler.values import Dependencies as Dependencies
from gatewayd.scheduler.values import Timings as Timings
