"""What the supervisor of a rootless sandbox loads beside itself: modules that use the standard library alone."""
