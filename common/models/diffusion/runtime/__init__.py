"""What runs the generative decoder: torch as it is, CUDA graphs, TensorRT; one interface (base.py)."""
