"""Templates for the CI systems of users: docs/ci/, and what GitHub, GitLab and pre-commit want elsewhere."""
