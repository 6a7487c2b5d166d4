"""Where maps of classes come from."""
