"""`upnext demo`: simulated learners, and what they are recommended."""
