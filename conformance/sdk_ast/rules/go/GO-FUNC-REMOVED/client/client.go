package client

import p "w/GO-FUNC-REMOVED/old"

func _() { p.F() }
