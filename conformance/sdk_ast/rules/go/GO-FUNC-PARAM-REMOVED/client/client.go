package client

import p "w/GO-FUNC-PARAM-REMOVED/old"

func _() { p.F(1, "") }
