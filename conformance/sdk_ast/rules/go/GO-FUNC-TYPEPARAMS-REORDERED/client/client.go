package client

import p "w/GO-FUNC-TYPEPARAMS-REORDERED/old"

func _() { p.F[int, string](1, "") }
