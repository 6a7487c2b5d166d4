"""Plays captures again, through the parts that play what arrives."""
