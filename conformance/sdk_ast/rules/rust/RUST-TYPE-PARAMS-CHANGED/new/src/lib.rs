pub struct T<A, B>(pub A, pub B);
