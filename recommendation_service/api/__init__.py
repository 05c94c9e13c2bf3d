"""HTTP: each route translates a request into a call of another folder, and holds no SQL."""
