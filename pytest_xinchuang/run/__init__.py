"""The pytest side: options, session, recording, controller."""
