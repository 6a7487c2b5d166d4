"""Tabletop videos with exact maps, simulated and rendered here (extra [tabletop]): see README.md in this folder."""
