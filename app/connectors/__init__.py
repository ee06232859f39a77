"""One package for each outside system; each shows one `CONNECTOR` and imports none of its neighbours."""
