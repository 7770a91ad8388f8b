"""Words to nobody are no reason to stop: what the system says when a stream for words can take no more."""

from __future__ import annotations

import errno

UNHEARD = frozenset({errno.EPIPE, errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Its reader has gone, its terminal was closed, the disk under it is full, or the file as long as it may be."""
