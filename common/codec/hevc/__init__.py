"""H.265 through x265 and FFmpeg's decoder: picture by picture (`stream`), and units that may refer to one picture
(`group`)."""
