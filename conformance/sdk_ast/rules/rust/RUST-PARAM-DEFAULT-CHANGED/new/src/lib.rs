pub struct T<A = u16>(pub A);
