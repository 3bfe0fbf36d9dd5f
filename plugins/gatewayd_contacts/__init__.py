"""gatewayd_contacts"""
