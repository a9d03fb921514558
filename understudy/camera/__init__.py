"""A camera that replays a file through the gateway."""
