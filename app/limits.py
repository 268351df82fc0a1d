"""What visitors may take of a server: one table, which docs/space.md explains and a test compares with it.

What a photograph and an archive may be is decided where they are read, in ``ltad/photos``; it stands here, too.
"""

from ltad.photos.archive import MAX_FILES as MAX_FILES
from ltad.photos.archive import MAX_PACKED as MAX_PACKED
from ltad.photos.archive import MAX_UNPACKED as MAX_UNPACKED
from ltad.photos.decode import MAX_BYTES as MAX_BYTES
from ltad.photos.decode import MAX_PIXELS as MAX_PIXELS

# Waiting and computing
QUEUE_SIZE = 64  # waiting visitors; one more is told that the queue is full
AT_ONCE = 2  # inspections, of all visitors together
CHECKS = 1  # of photographs to teach from, at once
MODEL_BYTES = 256_000_000  # of tensor files whose models stay in memory, beside the foundation models

# Uploads
UPLOAD_BYTES = 2_000_000_000  # of one request, all its files together
UPLOAD_SECONDS = 3600  # that an upload is kept, and what was made of it
SWEEP = 1800  # seconds between two looks for what is older than it may be
FREE_BYTES = 500_000_000  # that must be left on the disk when an upload or a job is taken

# Trainings
MAX_WAITING = 8  # jobs in the queue; one runs at a time
MAX_MINUTES = 15.0  # that a visitor may ask for
OVERTIME = 5.0  # times the minutes asked for, after which a job is stopped
GRACE = 600.0  # seconds beyond that, for reading, encoding and measuring
MAX_PHOTOGRAPHS = 200  # of a job
MAX_STORED = 400_000_000  # bytes of a job's photographs
KEPT_SECONDS = 48 * 3600  # that a finished job is kept
KEPT_BYTES = 2_000_000_000  # of all such jobs together
