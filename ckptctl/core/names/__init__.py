"""File names read: their words and numbers, their suffixes, and templates for them."""
