"""What lies in deploy/ to watch the daemons with: made, checked against them, and tried with a real Prometheus."""
