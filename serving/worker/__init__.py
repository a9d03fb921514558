"""One TorchServe on a machine of its own, and the controller's only way to it."""
