class B { };
