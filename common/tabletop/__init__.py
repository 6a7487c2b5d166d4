"""Tabletop videos: their classes, how their files are read, and the clips that are shipped (see clips/README.md)."""
