"""Pushes what is shown to media servers, which hand it on to any number of viewers: RTSP, RTMP, SRT, WHIP."""
