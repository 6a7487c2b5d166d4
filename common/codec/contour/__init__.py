"""Contour codec: maps of classes as polygons, a few hundred bits a frame, that survive losses: see README.md."""
