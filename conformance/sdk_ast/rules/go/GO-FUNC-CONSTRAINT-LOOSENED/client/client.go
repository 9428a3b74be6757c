package client

import p "w/GO-FUNC-CONSTRAINT-LOOSENED/old"

func _() { p.F(1) }
