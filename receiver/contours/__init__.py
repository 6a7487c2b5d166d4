"""Maps of classes beside the pictures: from the contours that arrive to the map of each moment."""
