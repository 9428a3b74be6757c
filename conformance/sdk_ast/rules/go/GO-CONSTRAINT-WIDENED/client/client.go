package client

import p "w/GO-CONSTRAINT-WIDENED/old"

func _[T p.I](x T) T { return x % 2 }
