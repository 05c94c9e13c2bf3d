"""Access: authentication, authorization and rate limits; routes need only `caller` from here."""
