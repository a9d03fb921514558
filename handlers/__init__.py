"""The code that travels inside every archive and runs in TorchServe workers."""
