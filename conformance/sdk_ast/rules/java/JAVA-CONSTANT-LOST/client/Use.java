package client;

import lib.*;

public class Use { int f(int x) { switch (x) { case L.K: return 1; default: return 0; } } }
