"""`receiver inspect FILE`: what is in a capture or a recording."""
