class A { };
class B { };
