package client

import p "w/GO-VAR-TO-FUNC/old"

func _() { p.F = nil }
