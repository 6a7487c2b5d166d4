"""Backends that run an exported graph: one interface, chosen by name."""
