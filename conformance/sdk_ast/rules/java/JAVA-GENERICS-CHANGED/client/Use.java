package client;

import lib.*;

public class Use { void f(java.util.List<String> x) { L.m(x); } }
