# ``gatewayd.runtime.lazy_imports`` reads this file.

from gatewayd.testing.servers.dovecot import Dovecot as Dovecot
from gatewayd.testing.servers.mailboxes import Snapshot as Snapshot
from gatewayd.testing.servers.mailboxes import modified_utf7 as modified_utf7
