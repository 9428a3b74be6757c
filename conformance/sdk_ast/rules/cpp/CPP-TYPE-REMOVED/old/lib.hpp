using a = int;
using b = int;
