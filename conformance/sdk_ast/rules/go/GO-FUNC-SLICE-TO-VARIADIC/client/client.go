package client

import p "w/GO-FUNC-SLICE-TO-VARIADIC/old"

func _() { p.F([]int{1}) }
