"""What both services agree on, and the plumbing they stand on. Knows neither of them."""
