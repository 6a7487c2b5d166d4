"""The receiver daemon: turns whatever packets arrive into live pictures."""
