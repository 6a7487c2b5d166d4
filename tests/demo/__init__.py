"""The demo: sender, lossy relay and receiver on this machine, live figures, and a summary (`make demo`)."""
