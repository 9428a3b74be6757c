"""Every text that users see, kept as a snapshot in both languages: a change of one is read in the diff.

``pytest tests/outputs --snapshot-update`` writes them anew.
"""
