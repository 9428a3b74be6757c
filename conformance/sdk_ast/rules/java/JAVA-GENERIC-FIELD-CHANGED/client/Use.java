package client;

import lib.*;

public class Use { java.util.List<String> f(L l) { return l.x; } }
