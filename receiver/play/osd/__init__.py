"""The on-screen display of the window: pure functions from figures to pixels."""
