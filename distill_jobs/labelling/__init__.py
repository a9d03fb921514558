"""A teacher over many frames, on this machine or on a cluster: `understudy label`."""
