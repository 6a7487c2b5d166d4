"""Both daemons for a long time on a link that changes; fails on growth."""
