pub struct T<A>(pub A);
