"""Test classes to derive from: what every matcher, directory, transport, forwarder and store must do."""
