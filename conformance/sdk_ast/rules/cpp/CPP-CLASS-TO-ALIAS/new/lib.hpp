class B { };
using A = B;
