package client;

import lib.*;

public class Use { void f(L l) { l.m(); } }
