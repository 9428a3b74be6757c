namespace a { void f(); }
namespace b { using namespace a; }
