package client;

import lib.*;

public class Use { int f(int x) { switch (x) { case L.C: return 1; case 2: return 2; default: return 0; } } }
