namespace a { void f(); }
