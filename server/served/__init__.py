"""How a file is answered: validators, ranges, encodings; what is hot from memory, the rest by
sendfile."""

from kernsym.server.served.answers import FileAnswers
from kernsym.server.served.body import Body

__all__ = ["Body", "FileAnswers"]
