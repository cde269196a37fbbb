"""The door out: what a plan drops is deleted or slimmed, through a journal and a trash, and can be undone."""
