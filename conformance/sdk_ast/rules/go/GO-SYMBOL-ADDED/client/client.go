package client

import p "w/GO-SYMBOL-ADDED/old"

func _() { p.F() }
