"""The door in: what a store lists becomes runs of checkpoints, with their scores, pointers and pins."""
