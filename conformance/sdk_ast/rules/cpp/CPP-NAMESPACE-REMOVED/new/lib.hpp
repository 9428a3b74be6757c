namespace b { void f(); }
