"""Sound: decoded in step with the pictures, and handed to the sinks that take it."""
