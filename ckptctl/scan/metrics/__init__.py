"""Scores and counters of checkpoints: from their names, from inside of them, and from the files beside them."""
