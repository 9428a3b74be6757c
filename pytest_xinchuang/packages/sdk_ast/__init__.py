"""APIs of SDKs: one representation for all languages, and what differs between two of them."""
