"""The log: constant event names with fields, the same from every process, readable on the console and JSON in a file.

Lines hold ids, counts, kinds and names of sites; never a body, a secret, a person's data, or the text of a failure, which may
quote any of them. ERROR is for what needs a person; what heals by itself is WARNING.
"""

from app.logs.outputs import process_name, set_up_logging

__all__ = ["process_name", "set_up_logging"]
