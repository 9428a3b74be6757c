from old import lib

bool(lib.A())
