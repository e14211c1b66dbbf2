"""Weight files, read as what they are: untrusted input.

Nothing in a file can run code, import a module, or make this process take memory that the file does not back.
"""

from engine.models.files.mapped import LazyTensor
from engine.models.files.objects import read_object
from engine.models.files.opening import open_weights
from engine.models.files.pickled import PickledFile, PickledWeights, read_pickle, tensors_by_name
from engine.models.files.plain import plain
from engine.models.files.strict_load import check_claim, check_shapes, fill
from engine.models.files.weights import Weights

__all__ = [
    "LazyTensor",
    "PickledFile",
    "PickledWeights",
    "Weights",
    "check_claim",
    "check_shapes",
    "fill",
    "open_weights",
    "plain",
    "read_object",
    "read_pickle",
    "tensors_by_name",
]
