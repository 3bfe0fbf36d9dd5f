"""gatewayd_csv"""
