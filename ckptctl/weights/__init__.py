"""What is inside a checkpoint, read without executing any of it."""
