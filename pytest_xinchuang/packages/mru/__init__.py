"""The engine of the MRU package: builds, inspects and runs minimum runnable units, and says what was seen."""
