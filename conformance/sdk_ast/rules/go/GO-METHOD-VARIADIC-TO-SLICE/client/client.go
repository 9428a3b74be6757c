package client

import p "w/GO-METHOD-VARIADIC-TO-SLICE/old"

func _() { p.T{}.M(1, 2) }
