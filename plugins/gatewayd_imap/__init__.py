"""gatewayd_imap"""
