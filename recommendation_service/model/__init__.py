"""What is known about lessons, and what to watch next: plain values in, plain values out.

The data flow: history -> contributions -> counts -> features -> weights -> ranking. Nothing in
here reads a clock, a database or a random number: the same calls give the same answers.
"""
