package client

import p "w/GO-CONSTRAINT-NARROWED/old"

func f[T p.I](x T) {}

func _() { f(int64(1)) }
