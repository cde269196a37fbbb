"""Pure values and decisions: no disk, screen, clock, environment or third party."""
