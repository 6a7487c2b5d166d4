"""Small pictures at a few kbit/s: see README.md."""
