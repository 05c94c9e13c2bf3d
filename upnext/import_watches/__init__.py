"""`upnext import`: files of watches or xAPI statements, sent through the API."""
