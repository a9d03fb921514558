"""One thread a run: tiny networks gain nothing from more, and threads that wait burn processors."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
