"""Where a frame's time went, as spans: OpenTelemetry, where it is wanted."""
