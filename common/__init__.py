"""What both daemons share: configuration, clocks, logs, metrics, service life cycle, the codec.

Imports `proto` only.
"""
