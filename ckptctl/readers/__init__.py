"""What training left beside the weights. A reader is imported when its first file turns up."""
