"""Maps of classes beside the pictures: from frames to units of the contours stream."""
