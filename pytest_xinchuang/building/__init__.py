"""From a unit of a subject to files for a target."""
