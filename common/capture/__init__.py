"""Captures (.smc): what was received or sent, packet by packet. README.md is the spec."""
