"""Training of the generative decoder: its data, its stages, its export."""
