struct A { static void f(); };
