"""One thing each: a widget takes records in and posts its own message out."""
