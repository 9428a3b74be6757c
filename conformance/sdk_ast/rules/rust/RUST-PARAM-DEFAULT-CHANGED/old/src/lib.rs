pub struct T<A = u8>(pub A);
