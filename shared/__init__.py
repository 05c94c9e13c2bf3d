"""Code that both services use: message contracts, broker, database, HTTP, access.

It imports neither service.
"""
