"""Transports side by side: ours, SRT, RIST, WebRTC and WFB-ng through the same lossy relay."""
