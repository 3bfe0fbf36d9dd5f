"""gatewayd_sql"""
