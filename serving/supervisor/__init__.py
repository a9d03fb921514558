"""Keeps the deployment's processes running: TorchServe, the controller, the gateways."""
