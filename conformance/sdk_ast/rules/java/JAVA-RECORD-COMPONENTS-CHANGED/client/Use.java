package client;

import lib.*;

public class Use { int f(L l) { return l.x(); } }
