"""The supply chain of Go modules: what is built is what was published, and it was allowed."""
