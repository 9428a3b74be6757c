package main

// registerPlaces are indices among the general registers, as NT_PRSTATUS has them.
type registerPlaces struct {
	total, number, result int
	arguments             [6]int
	stack, place          int
}
