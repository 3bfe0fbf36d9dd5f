"""gatewayd_demo"""
