"""A phone, a browser, OBS or GStreamer as the camera: it publishes over WebRTC, by WHIP (RFC 9725). Extra `[web]`."""
