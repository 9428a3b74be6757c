package client

import p "w/GO-FUNC-PARAM-ADDED/old"

func _() { p.F(1) }
