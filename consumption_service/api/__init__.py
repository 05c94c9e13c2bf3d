"""HTTP: each route translates a request into a command or a query, and holds no SQL."""
