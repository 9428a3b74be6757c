namespace a { void f(); }
namespace b { void g(); }
namespace x = a;
