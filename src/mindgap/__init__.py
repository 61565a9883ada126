"""mindgap: find small image classifiers whose errors do not depend on who is in the picture, and show the evidence."""

from importlib.metadata import version

__version__ = version("mindgap")
