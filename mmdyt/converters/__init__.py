"""Turn checkpoints of other code bases into checkpoints of mmdyt.

Each source format is a table of entries (``mmdyt.converters.layouts``), one for every tensor of the
result. What a file must hold follows from the table, and the shapes are those
of a model built without memory, so that a wrong or truncated file is refused
before anything is written.
"""

from mmdyt.converters.convert import FORMATS, command_line, convert, convert_file
from mmdyt.converters.layouts import Entry, Layout
from mmdyt.converters.sources import read_source

__all__ = [
    "FORMATS",
    "Entry",
    "Layout",
    "command_line",
    "convert",
    "convert_file",
    "read_source",
]
