"""Java: class files are read as the virtual machine reads them (JVMS 4), and compared as callers and subclasses see them."""
