"""gatewayd_pop3"""
