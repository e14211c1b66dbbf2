"""The focusable parts of the watch screen: each owns its keys and acts on the session.

A key acts before the next one is read, so a panel calls the session itself; what comes from the mouse is a message.
"""
