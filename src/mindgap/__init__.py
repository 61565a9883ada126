"""mindgap: search for small image classifiers whose errors do not depend on who is in the picture, with evidence."""

from importlib.metadata import version

__version__ = version("mindgap")
