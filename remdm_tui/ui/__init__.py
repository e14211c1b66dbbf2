"""What ties the session to Textual: the refresh clock, the driver, the keys."""
