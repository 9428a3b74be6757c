"""The sealed process that decides the checks of the suite: how it is started, and what its journal says while it runs."""
