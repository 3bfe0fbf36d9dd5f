"""gatewayd_reservations"""
