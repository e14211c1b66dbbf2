"""Weight files, read as what they are: untrusted input.

Nothing in a file can run code, import a module, or make this process take memory that the file does not back.
"""

from engine.models.files.fit import check_shapes, fill
from engine.models.files.weights import Weights, open_weights

__all__ = ["Weights", "check_shapes", "fill", "open_weights"]
