def _f(): pass
