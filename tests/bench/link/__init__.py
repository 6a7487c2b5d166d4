"""A bad link, one way, as arithmetic: no sockets, no clock. `model.Link` puts the parts together."""
