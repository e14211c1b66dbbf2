"""Traces of other samplers, read as what they are: untrusted files, from which recordings are made."""

from engine.traces.convert import TraceOptions, import_trace
from engine.traces.fields import TraceFields, fields_of
from engine.traces.files import read_structure

__all__ = ["TraceFields", "TraceOptions", "fields_of", "import_trace", "read_structure"]
