"""Processes of our own for libraries that may crash, hang or take all memory: torch and h5py."""
