"""What holds for every test.

One thread a run: tiny networks gain nothing from more, and threads that wait burn processors. No
example has a deadline: how long one takes says how busy the machine is.
"""

import os

import hypothesis

os.environ.setdefault("OMP_NUM_THREADS", "1")
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")
