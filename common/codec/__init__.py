"""Codecs as the daemons use them: numpy in, bytes out, networks behind common.runtime."""
