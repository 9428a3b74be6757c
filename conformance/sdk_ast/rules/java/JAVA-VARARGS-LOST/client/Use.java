package client;

import lib.*;

public class Use { void f() { L.m("a", "b"); } }
