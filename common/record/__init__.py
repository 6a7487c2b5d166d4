"""Files that are written for long: names, parts, room on the disk, and what is muxed into them."""
