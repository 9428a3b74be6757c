package client

import p "w/GO-FUNC-VARIADIC-TO-SLICE/old"

func _() { p.F(1, 2) }
