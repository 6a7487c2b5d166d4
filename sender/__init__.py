"""The sender daemon: capture, encode, seal, pace and transmit live video."""
