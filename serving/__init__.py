"""The gateway, the controller and the engine they drive."""
