"""Lets the platform's loader decide: opens what is delivered in a sandbox of the platform, under its CPU."""
