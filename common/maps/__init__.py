"""Maps of classes: what they are, and what their labels mean."""
