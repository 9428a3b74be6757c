package client

import p "w/GO-FUNC-CONSTRAINT-TIGHTENED/old"

func _() { p.F([]int{}) }
