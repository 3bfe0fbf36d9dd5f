# ``gatewayd.runtime.lazy_imports`` reads this file.

from gatewayd.testing.graph.apps import EntraApp as EntraApp
from gatewayd.testing.graph.exchange_items import ExchangeFolder as ExchangeFolder
from gatewayd.testing.graph.exchange_items import ExchangeMessage as ExchangeMessage
from gatewayd.testing.graph.mailboxes import ExchangeMailbox as ExchangeMailbox
from gatewayd.testing.graph.request_log import LoggedRequest as LoggedRequest
from gatewayd.testing.graph.sending import DeliveredCopy as DeliveredCopy
from gatewayd.testing.graph.server import Graph as Graph
