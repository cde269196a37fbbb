"""Pickles read as data, with nothing imported and nothing called, and written again."""
