"""Pictures made by the generative decoder in place of the small ones that were received, when there is time."""
