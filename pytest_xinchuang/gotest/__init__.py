"""Third-party Go modules: their own tests, cross built and run on a platform."""
