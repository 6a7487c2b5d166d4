"""Settings of all tests."""

from __future__ import annotations

import os

from hypothesis import settings

# The same examples in every run of the same tests, so that a change alone decides whether they pass;
# HYPOTHESIS_PROFILE=explore looks for new ones.
settings.register_profile("repeatable", derandomize=True)
settings.register_profile("explore", derandomize=False, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
