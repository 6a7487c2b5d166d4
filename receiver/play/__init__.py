"""Sinks: where shown pictures go (browser page, file, window, raw stream)."""
