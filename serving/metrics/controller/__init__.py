"""What Prometheus reads of the deployment's state, as the controller's process sees it."""
