class f: pass
