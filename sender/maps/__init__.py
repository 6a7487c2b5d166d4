"""Where a sender's maps of classes come from; see sender.maps.create."""
