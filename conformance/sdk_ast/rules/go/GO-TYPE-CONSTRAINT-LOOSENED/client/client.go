package client

import p "w/GO-TYPE-CONSTRAINT-LOOSENED/old"

var _ p.T[int]

func _[E comparable](p.T[E]) {}
