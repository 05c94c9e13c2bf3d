"""The recommendation model: interactions in, ranked lessons out, all of it plain values.

The data flow: history -> contributions -> counts -> features -> weights -> ranking. Nothing here
reads a clock, a database or a random number: the same calls give the same answers.
"""
