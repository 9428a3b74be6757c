package client

import p "w/GO-METHOD-SLICE-TO-VARIADIC/old"

func _() { p.T{}.M([]int{1}) }
