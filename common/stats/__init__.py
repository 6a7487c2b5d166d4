"""`--stats`: what a running daemon does, read from its /metrics and shown in a terminal."""
