namespace a { void f(); }
namespace b { void other(); }
