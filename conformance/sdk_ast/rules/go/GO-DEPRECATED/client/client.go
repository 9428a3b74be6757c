package client

import p "w/GO-DEPRECATED/old"

func _() { p.F() }
