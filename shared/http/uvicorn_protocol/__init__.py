"""uvicorn's HTTP protocol, extended: the fast path, refusals and limits of each connection.

That needs private parts of uvicorn, which no other folder may use. `self_check.py` lists them, as
read in uvicorn 0.54, and checks them at every start. With an unknown uvicorn nothing here is used.
"""
