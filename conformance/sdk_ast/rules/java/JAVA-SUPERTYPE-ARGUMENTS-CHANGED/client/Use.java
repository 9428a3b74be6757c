package client;

import lib.*;

public class Use { Comparable<L> f(L l) { return l; } }
