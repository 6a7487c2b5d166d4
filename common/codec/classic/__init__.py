"""The `classic` profile: one low-delay H.265 stream across units, each unit behind an erasure code, for good links."""
