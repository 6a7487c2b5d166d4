"""Sound: where it comes from, and how it becomes units of the audio stream."""
