"""The numbers of checkpoints: streamed, compared, averaged, checked, slimmed, exported."""
