"""Values to text. Nothing here prints: a function returns a string, or yields strings that the caller writes.

A string that is a line ends with its newline; only a question, and the parts that lines are made of, do not.
"""
