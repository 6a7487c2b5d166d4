"""Training and export of the shipped models (extra [train]); never imported by a daemon."""
