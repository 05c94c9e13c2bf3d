"""`upnext demo`: simulated learners, and their recommendations."""
