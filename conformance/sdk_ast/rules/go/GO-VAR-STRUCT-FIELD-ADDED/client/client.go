package client

import p "w/GO-VAR-STRUCT-FIELD-ADDED/old"

func _() { p.V = struct{ A int }{1} }
