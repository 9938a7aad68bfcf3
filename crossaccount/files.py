"""Plain files read within a bound, whatever stands at their path. Not here: what is in them."""

import errno
import os
import stat


def read_file(path: str | os.PathLike[str], limit: int) -> bytes:
    """The content of a plain file, and at most one byte more than the limit.

    Raises:
        OSError: for a file that cannot be read, or is a pipe or a device: those may have no end, or never begin.
        ValueError: for text that is not a path.
    """
    # A pipe that nobody writes into would hold an open up for ever.
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is a pipe or a device")
        return file.read(limit + 1)
